/** The trials of a run by what a person calls them, and their logs. */
import { readdir, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { pieces } from "../files/index.ts";
import { runFiles, trialId } from "./layout.ts";
import { type RunReading, readRun } from "./read-run.ts";
import { rankedSummaries } from "./results.ts";
import { hasEnded, type TrialState } from "./state.ts";

/**
 * The trial that `name` means: its id, its number, or `best`.
 * @throws DistmisError USAGE if there is none
 */
export function findTrial({ dir, state, experiment }: RunReading, name: string): TrialState {
  const { trials } = state;
  if (name === "best") {
    const [best] = rankedSummaries(state, experiment, dir);
    const trial = best?.best ? trials.get(best.trial) : undefined;
    if (trial !== undefined) return trial;
    throw new DistmisError("USAGE", `${dir}: no trial has a value of ${experiment.search.metric} yet, so none is best`);
  }
  const trial = trials.get(name) ?? (/^\d+$/.test(name) ? trials.get(trialId(Number(name))) : undefined);
  if (trial !== undefined) return trial;
  const ids = [...trials.keys()];
  const there =
    ids.length > 1 ? `expected \`best\` or one of ${ids[0]} to ${ids.at(-1)}` : `it has ${ids[0] ?? "none"}`;
  throw new DistmisError("USAGE", `${dir}: no trial ${name}: ${there}`);
}

export interface TrialLog {
  rank: number;
  /** Absolute. */
  file: string;
  bytes: number;
}

/** The logs that a trial has so far, by rank: each replica's begins with what it prints first. */
export async function trialLogs(runDir: string, trial: string): Promise<TrialLog[]> {
  const dir = runFiles.trial(runDir, trial);
  const names = await readdir(dir).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be read: ${messageOf(error)}`, { cause: error });
  });
  const ranks = names.flatMap((name) => {
    const found = /^trainer(?:-(\d+))?\.log$/.exec(name);
    return found === null ? [] : [Number(found[1] ?? 0)];
  });
  const logs = ranks.map(async (rank) => {
    const file = runFiles.trialLog(runDir, trial, rank);
    return { rank, file, bytes: (await stat(file)).size };
  });
  return (await Promise.all(logs)).toSorted((a, b) => a.rank - b.rank);
}

export interface ReadLogOptions {
  /** Of this replica alone. */
  rank?: number;
  /** Goes on with what is added, until the trial has ended or nobody works on the run. */
  follow?: boolean;
  /** Ends it. */
  signal?: AbortSignal;
}

/** A piece of a log, as it was written. */
export interface LogPiece extends Pick<TrialLog, "rank" | "file"> {
  bytes: Buffer;
}

/** A network file system tells no one of what other hosts write. */
const LOOK_MILLISECONDS = 300;
/** A journal may be long, so it is read seldom. */
const ASK_MILLISECONDS = 3_000;

/** What stands in the logs of a trial. */
export async function* readTrialLogs(
  runDir: string,
  trial: string,
  { rank, follow = false, signal }: ReadLogOptions = {},
): AsyncGenerator<LogPiece, void, undefined> {
  const offsets = new Map<number, number>();
  let asked = 0;
  let over = !follow;
  for (;;) {
    const last = over;
    for (const log of await trialLogs(runDir, trial)) {
      if (rank === undefined || log.rank === rank) yield* piecesOf(log, offsets);
    }
    if (last || signal?.aborted === true) return;
    if (performance.now() - asked > ASK_MILLISECONDS) {
      // What was written before it ended is read in a last turn.
      over = await isOver(runDir, trial);
      asked = performance.now();
    }
    if (!over) await delay(LOOK_MILLISECONDS, undefined, { signal }).catch(() => {});
  }
}

async function* piecesOf({ rank, file, bytes }: TrialLog, offsets: Map<number, number>): AsyncGenerator<LogPiece> {
  const at = offsets.get(rank) ?? 0;
  if (at >= bytes) return;
  for await (const piece of pieces(file, at)) {
    offsets.set(rank, (offsets.get(rank) ?? 0) + piece.length);
    yield { rank, file, bytes: piece };
  }
}

async function isOver(runDir: string, id: string): Promise<boolean> {
  const { state, owner } = await readRun(runDir);
  const trial = state.trials.get(id);
  return owner === null || trial === undefined || hasEnded(trial);
}
