import { DistmisError } from "../errors/index.ts";
import { slurm } from "./commands.ts";
import { type Job, readJobs } from "./jobs.ts";
import { liveJob } from "./submit.ts";

/**
 * Ends the job that waits or runs for `runDir`; submitting the run again continues it.
 * @throws DistmisError RUN_REFUSED if there is none, SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function cancelJob(runDir: string): Promise<Job> {
  const live = await liveJob(runDir);
  if (live === null) {
    const jobs = await readJobs(runDir);
    const found = jobs.length === 0 ? "no job was submitted for it" : `job ${jobs.at(-1)?.job}, its last, has ended`;
    throw new DistmisError("RUN_REFUSED", `${runDir}: nothing to cancel: ${found}`);
  }
  const { job, cluster } = live.job;
  await slurm("scancel", [...(cluster === null ? [] : [`--clusters=${cluster}`]), job]);
  return live.job;
}
