/** What the page asks for beside the stream of changes. */
import { readFile } from "node:fs/promises";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { importanceOf } from "../analysis/index.ts";
import { DistmisError, hasErrno } from "../errors/index.ts";
import type { CurveView, ImportanceView } from "../page-data/index.ts";
import { runFiles } from "../run-folder/index.ts";
import type { Boards } from "./boards.ts";
import { readLog } from "./logs.ts";
import { imageFile, predictionFile, previewsOf, truthFile } from "./previews.ts";
import type { RunBoard } from "./run-board.ts";

const runSchema = z.object({ run: z.string() });
const trialSchema = runSchema.extend({ trial: z.string() });
const curvesSchema = z.object({ trials: z.string().default("") });
const logSchema = z.object({
  rank: z.coerce.number().int().min(0).default(0),
  from: z.coerce.number().int().min(0).optional(),
});

const previewSchema = z.object({
  index: z.coerce.number().int().min(0),
  kind: z.enum(["image", "truth", "prediction"]),
});
const volumeSchema = z.object({
  channel: z.coerce.number().int().min(0).default(0),
  epoch: z.coerce.number().int().min(0).default(0),
});

/** More curves than that nobody tells apart. */
const MOST_CURVES = 200;

/** An answer other than the one that was asked for. */
export function notFound(what: string): Error {
  return Object.assign(new Error(`there is no ${what}`), { statusCode: 404 });
}

export function addRoutes(server: FastifyInstance, boards: Boards): void {
  const boardOf = (params: unknown): RunBoard => {
    const { run } = runSchema.parse(params);
    const board = boards.runs.get(run);
    if (board === undefined) throw notFound(`run ${run}`);
    return board;
  };
  const importances = new Map<string, { version: number; answer: Promise<ImportanceView> }>();

  server.get("/api/runs/:run/curves", ({ params, query }): CurveView[] => {
    const board = boardOf(params);
    const wanted = curvesSchema.parse(query).trials.split(",").slice(0, MOST_CURVES);
    return wanted.flatMap((trial) => board.curve(trial) ?? []);
  });

  server.get("/api/runs/:run/importance", ({ params }): Promise<ImportanceView> => {
    const board = boardOf(params);
    const known = importances.get(board.dir);
    // A Python process each: one at a time, and none where nothing is new.
    if (known?.version === board.version) return known.answer;
    const answer = importanceOfBoard(board);
    importances.set(board.dir, { version: board.version, answer });
    return answer;
  });

  server.get("/api/runs/:run/experiment", async ({ params }, reply) => {
    const { dir } = boardOf(params);
    const text = await readFile(runFiles.experiment(dir), "utf8").catch((error: unknown) => {
      if (hasErrno(error, "ENOENT")) throw notFound("experiment.yaml in this run");
      throw error;
    });
    return reply.type("text/plain; charset=utf-8").send(text);
  });

  server.get("/api/runs/:run/trials/:trial/log", ({ params, query }) => {
    const board = boardOf(params);
    const { rank, from } = logSchema.parse(query);
    return readLog(board.dir, knownTrial(board, params), rank, from ?? null);
  });

  server.get("/api/runs/:run/trials/:trial/previews", ({ params }) => {
    const board = boardOf(params);
    return previewsOf(board, knownTrial(board, params));
  });

  server.get("/api/runs/:run/trials/:trial/previews/:index/:kind", ({ params, query }, reply) => {
    const board = boardOf(params);
    const { index, kind } = previewSchema.parse(params);
    const { channel, epoch } = volumeSchema.parse(query);
    const trial = knownTrial(board, params);
    reply.type("application/gzip");
    if (kind === "image") return imageFile(board, trial, index, channel);
    return kind === "truth" ? truthFile(board, trial, index) : predictionFile(board, trial, index, epoch);
  });

  server.setErrorHandler((error: unknown, _request, reply) => {
    const asked = error instanceof z.ZodError ? 400 : error instanceof DistmisError ? 422 : statusOf(error);
    const said = asked < 500;
    if (!said) console.error(error);
    const message = said && error instanceof Error ? error.message : "the server has failed; its terminal says how";
    return reply.code(asked).send({ message });
  });
}

/** The id of a trial that the run has: nothing else becomes part of a path. */
export function knownTrial(board: RunBoard, params: unknown): string {
  const { trial } = trialSchema.parse(params);
  if (!board.state.trials.has(trial)) throw notFound(`trial ${trial}`);
  return trial;
}

function statusOf(error: unknown): number {
  const status = typeof error === "object" && error !== null && "statusCode" in error ? error.statusCode : 500;
  return typeof status === "number" ? status : 500;
}

export async function importanceOfBoard({ experiment, state }: RunBoard): Promise<ImportanceView> {
  if (experiment === null) return { shares: null, trials: 0, best: 0, missing: "the run has no record" };
  return importanceOf({ experiment, state });
}
