/** What a job has printed. */
import { stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, hasErrno } from "../errors/index.ts";
import { pieces } from "../files/index.ts";
import { jobHasEnded, jobState } from "./job-state.ts";
import { readJobs } from "./jobs.ts";

/** A network file system tells no one of what other hosts write. */
const LOOK_MILLISECONDS = 300;
/** The controller has others to answer. */
const ASK_MILLISECONDS = 5_000;

/**
 * The log of a run's last job, over all its restarts; with `follow` until that job has ended or `signal` aborts.
 * @throws DistmisError FILE_UNUSABLE if it has none, or none yet
 */
export async function* readJobLog(
  runDir: string,
  { follow = false, signal }: { follow?: boolean; signal?: AbortSignal } = {},
): AsyncGenerator<Buffer, void, undefined> {
  const job = (await readJobs(runDir)).at(-1);
  if (job === undefined)
    throw new DistmisError("FILE_UNUSABLE", `${runDir}: no job was submitted for it, so there is no log of one`);
  const file = job.log;
  if (file === null)
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${runDir}: job ${job.job}, its last, was worked in by hand, and has no log`,
    );
  let at = 0;
  let asked = Number.NEGATIVE_INFINITY;
  let over = !follow;
  for (;;) {
    const last = over;
    if (await exists(file)) {
      for await (const piece of pieces(file, at)) {
        at += piece.length;
        yield piece;
      }
    } else if (last) {
      const { state } = await jobState(job);
      throw new DistmisError("FILE_UNUSABLE", `${file}: job ${job.job} has no log yet: it is ${state}`);
    }
    if (last || signal?.aborted === true) return;
    if (performance.now() - asked > ASK_MILLISECONDS) {
      // What was written before it ended is read in a last turn.
      over = jobHasEnded(await jobState(job));
      asked = performance.now();
    }
    if (!over) await delay(LOOK_MILLISECONDS, undefined, { signal }).catch(() => {});
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}
