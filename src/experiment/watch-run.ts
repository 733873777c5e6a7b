/** A run that somebody else works on, followed by what it writes into its folder. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { deferred } from "../async/index.ts";
import { DistmisError } from "../errors/index.ts";
import { lockOwner } from "../lock/index.ts";
import { followJournal, noRun, type RunResults, runFiles } from "../run-folder/index.ts";
import { type RunEvent, remark } from "./events.ts";
import { modelOf } from "./leave-model.ts";
import { createReplay } from "./replay.ts";
import type { Run } from "./run-experiment.ts";

export interface WatchOptions {
  /** Stops watching; the run goes on. */
  signal?: AbortSignal;
  /** Goes on with a run that has stopped before its end, as it may be continued: by the requeued job of a time limit, say. */
  wait?: boolean;
  /** There is nothing to tell yet: of what is waited for. */
  onWaiting?: (text: string) => void;
}

/** A network file system is not asked for the lock with each look. */
const ASK_MILLISECONDS = 3_000;
/** Between the last record of a finished run and the end of its process its model is written. */
const LAST_WORK_MILLISECONDS = 60_000;

/**
 * Follows the run in `dir` from its first record on, by its files alone. It ends when the run does, or when nobody works on it any more;
 * then the results are those so far.
 *
 * Errors: FILE_UNUSABLE if there is no run, RUN_REFUSED if its journal is damaged, INTERRUPTED (the results alone) after `signal`.
 */
export function watchRun(dir: string, options: WatchOptions = {}): Run {
  const runDir = path.resolve(dir);
  const results = deferred<RunResults>();
  // Whoever iterates gets the same error.
  results.promise.catch(() => {});
  async function* iterate(): AsyncGenerator<RunEvent, void, undefined> {
    try {
      const found = yield* follow(runDir, options);
      results.resolve({ ...found, model: found.state === "finished" ? await modelOf(runDir) : null });
    } catch (error) {
      results.reject(error);
      if (options.signal?.aborted !== true) throw error;
    }
  }
  return { runDir, results: results.promise, [Symbol.asyncIterator]: iterate };
}

async function* follow(
  runDir: string,
  { signal, wait = false, onWaiting = () => {} }: WatchOptions,
): AsyncGenerator<RunEvent, Omit<RunResults, "model">, undefined> {
  let replay = createReplay(runDir);
  let asked = Number.NEGATIVE_INFINITY;
  let heard = 0;
  /** Nobody works on it: what was written before that was seen is read first. */
  let isLeft = false;
  let isWaiting = false;
  const waitFor = (text: string): void => {
    if (!isWaiting) onWaiting(text);
    isWaiting = true;
  };
  for await (const news of followJournal(runFiles.journal(runDir), signal === undefined ? {} : { signal })) {
    if (news.type === "replaced") replay = createReplay(runDir);
    if (news.type !== "quiet") {
      isLeft = false;
      isWaiting = false;
      heard = performance.now();
      for (const record of news.type === "records" ? news.records : []) yield* replay.events(record);
      continue;
    }
    const by = replay.by();
    const ending = replay.ending();
    if (isWaiting && by !== null) continue;
    if (ending === "finished" && performance.now() - heard > LAST_WORK_MILLISECONDS) return replay.results();
    if (ending === null && !isLeft && performance.now() - asked < ASK_MILLISECONDS) continue;
    asked = performance.now();
    const isWorkedOn = (await lockOwner(runFiles.lock(runDir))) !== null;
    if (by === null) {
      if (!isWorkedOn && !(await isSubmitted(runDir))) throw await noRun(runDir);
      waitFor(`${runDir} has not begun yet; waiting for its journal`);
    } else if (isWorkedOn || (ending === null && !isLeft)) isLeft = !isWorkedOn;
    else {
      if (ending === null) yield remark(goneText(by));
      if (ending === "finished" || !wait) return replay.results();
      waitFor(`${runDir} stands still; waiting for somebody to continue it`);
    }
  }
  throw new DistmisError("INTERRUPTED", `stopped watching ${runDir}`);
}

/** Whether a job of SLURM is to work on it. */
async function isSubmitted(runDir: string): Promise<boolean> {
  return (await stat(runFiles.slurm(runDir)).catch(() => null))?.isDirectory() ?? false;
}

function goneText({ host, pid, lastTime }: { host: string; pid: number; lastTime: string }): string {
  return (
    `nobody works on this run any more: process ${pid} on ${host} has ended without bringing it to an end; its last word is of ${lastTime}; ` +
    "the command that started the run continues it"
  );
}
