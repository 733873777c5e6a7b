/** Whether a folder can be that of a run, before its turn comes. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import type { Experiment } from "../config/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { type OpenOptions, planExtension } from "./extend.ts";
import { isForeign, runFiles } from "./layout.ts";
import { readRun } from "./read-run.ts";

/**
 * Whether `experiment` can run in `dir`, or go on there: what would only show when its turn has come. Returns what is there.
 * @param endedJobs SLURM's jobs that have ended: a lock that one of them holds is no obstacle by the time another one starts
 * @throws DistmisError RUN_REFUSED, FILE_UNUSABLE
 */
export async function checkFolder(
  dir: string,
  experiment: Experiment,
  options: OpenOptions,
  endedJobs: readonly string[] = [],
): Promise<"new" | "unfinished" | "finished"> {
  if (existsSync(runFiles.journal(dir))) {
    const { state, owner } = await readRun(dir);
    if (owner !== null && !(owner.job !== undefined && endedJobs.includes(owner.job))) {
      throw new DistmisError(
        "RUN_REFUSED",
        `${dir}: process ${owner.pid} on host ${owner.host} works on this run since ${owner.since}; wait for it, or take another name with --fresh`,
      );
    }
    const extension = planExtension(dir, state, experiment, options);
    return state.finished && extension === null ? "finished" : "unfinished";
  }
  const entries = await readdir(dir).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be used as a run folder: ${messageOf(error)}`, {
      cause: error,
    });
  });
  const foreign = entries.filter(isForeign);
  if (foreign.length > 0) {
    const found = foreign.slice(0, 3).join(", ");
    throw new DistmisError(
      "RUN_REFUSED",
      `${dir}: expected a run folder or none, found ${found} and no journal.jsonl; take another name with --fresh`,
    );
  }
  if (options.extend || options.retryFailed) {
    const option = options.extend ? "--extend" : "--retry-failed";
    throw new DistmisError("RUN_REFUSED", `${dir}: holds no run that ${option} could continue; start it without`);
  }
  return "new";
}
