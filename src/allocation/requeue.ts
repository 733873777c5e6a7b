/** A search that is longer than a job may be: the job goes back into the queue, or is followed by another one. */
import { DistmisError, messageOf } from "../errors/index.ts";
import { jobState, slurm } from "../slurm/index.ts";
import { findAllocation } from "./allocation.ts";

/** What became of the job. */
export interface Requeued {
  /** For a person. */
  said: string;
  /** The job that follows this one; null if it is the same. */
  successor: string | null;
}

/**
 * Puts the job of this process back into the queue; where that is not allowed, submits its script again as a job that begins when
 * this one has ended. SLURM ends this process soon after it is requeued, so all must be on the disk; it starts the job again after
 * two minutes at the earliest, when its credentials have expired. Returns what was done,
 * or null if the job was started `most` times again already.
 * @throws DistmisError SLURM_FAILED if neither is possible
 */
export async function putBackInQueue(most: number): Promise<Requeued | null> {
  const { jobId, restarts } = await findAllocation();
  if (restarts >= most) return null;
  const count = `restart ${restarts + 1} of at most ${most}`;
  try {
    await slurm("scontrol", ["requeue", jobId]);
  } catch (error) {
    const successor = await submitSuccessor(jobId, restarts, messageOf(error));
    return { said: `job ${successor} follows job ${jobId} (${count})`, successor };
  }
  return { said: `job ${jobId} is back in the queue (${count})`, successor: null };
}

/** The script says where it lies and how many arguments it had: SLURM keeps a copy for as long as the job lives. */
async function submitSuccessor(jobId: string, restarts: number, why: string): Promise<string> {
  const { DISTMIS_BATCH_SCRIPT: script, DISTMIS_BATCH_ARGUMENTS: given } = process.env;
  if (!script) {
    throw new DistmisError(
      "SLURM_FAILED",
      `job ${jobId} can't be put back into the queue (${why}), and its script does not set DISTMIS_BATCH_SCRIPT, so no other job can follow it: start the same command again`,
    );
  }
  const count = Number(given ?? 0);
  const printed = await slurm("sbatch", [
    "--parsable",
    `--dependency=afterany:${jobId}`,
    // The count of this job would be inherited.
    `--export=ALL,DISTMIS_RESTARTS=${restarts + 1},SLURM_RESTART_COUNT=0`,
    script,
    ...(count > 0 ? process.argv.slice(3, 3 + count) : []),
  ]);
  return printed.trim().split(";")[0] ?? "";
}

/** Whether SLURM has promised the nodes of this job to another one, and has ended its steps. */
export async function isPreempted(): Promise<boolean> {
  const { jobId } = await findAllocation();
  const { preempted } = await jobState({ job: jobId, cluster: null, script: null });
  return preempted;
}
