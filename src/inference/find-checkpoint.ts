/** From what a person names, a run, a trial, a model folder or a file, to a checkpoint. */
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { DistmisError } from "../errors/index.ts";
import { checkModelFolder, modelFiles } from "../model-folder/index.ts";
import { checkpointFiles, readRun } from "../run-folder/index.ts";

/** A row of results.jsonl, as far as it matters here; the best trial comes first. */
const rowSchema = z.object({ trial: z.string(), best: z.object({ checkpoint: z.string() }).nullable() });

const BEST = checkpointFiles.best;

async function isFile(file: string): Promise<boolean> {
  return (await fs.stat(file).catch(() => null))?.isFile() ?? false;
}

/**
 * The checkpoint that `place` means: itself if it is a file, a model folder's weights, a trial's best one, or that of a run's best
 * trial.
 * @returns an absolute path
 * @throws DistmisError FILE_UNUSABLE if there is none, DATA_INVALID naming a file of a model folder that was changed or damaged
 */
export async function findCheckpoint(place: string): Promise<string> {
  const absolute = path.resolve(place);
  if (await isFile(absolute)) return absolute;
  for (const name of [modelFiles.model, modelFiles.weights])
    if (await isFile(path.join(absolute, name))) return checkModelFolder(absolute);
  const own = path.join(absolute, BEST);
  if (await isFile(own)) return own;
  const results = path.join(absolute, "results.jsonl");
  if (await isFile(results)) {
    const first = (await fs.readFile(results, "utf8")).split("\n")[0] ?? "";
    const row = first === "" ? null : rowSchema.safeParse(JSON.parse(first)).data;
    const file = row && path.join(absolute, "trials", row.trial, row.best?.checkpoint || BEST);
    if (file && (await isFile(file))) return file;
    throw new DistmisError("FILE_UNUSABLE", `${absolute}: none of its trials has a checkpoint yet`);
  }
  const why = await whyGone(absolute);
  if (why !== null) throw new DistmisError("FILE_UNUSABLE", `${absolute}: ${why}`);
  throw new DistmisError(
    "FILE_UNUSABLE",
    `${absolute}: neither a checkpoint (.safetensors) nor the folder of a model, trial or run: name what \`distmis run\` wrote`,
  );
}

/** Why a trial's folder, or a file in it, has no checkpoint; null for what belongs to no run. */
async function whyGone(place: string): Promise<string | null> {
  for (const trialDir of [place, path.resolve(place, "../..")]) {
    const run = await readRun(path.resolve(trialDir, "../..")).catch((error: unknown) => {
      if (error instanceof DistmisError) return null;
      throw error;
    });
    const trial = run?.state.trials.get(path.basename(trialDir));
    if (run === null || trial === undefined) continue;
    return trial.collected
      ? `was removed by \`distmis gc\`; the run's best model is kept: name ${run.dir}`
      : `trial ${trial.id} has no checkpoint here, it is ${trial.state}`;
  }
  return null;
}
