/** A search that is longer than a job may be: the job goes back into the queue, or is followed by another one. */
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, messageOf } from "../errors/index.ts";
import { slurm } from "../slurm/index.ts";
import { findAllocation } from "./allocation.ts";

/** A requeued job is held for two minutes unless its start is set anew, which SLURM takes once it has taken the job back. */
const [TRIES, PAUSE_MILLISECONDS] = [20, 250];

/**
 * Puts the job of this process back into the queue; where that is not allowed, submits its script again as a job that begins when
 * this one has ended. SLURM ends this process soon after it is requeued, so all must be on the disk. Returns what was done, for a
 * person, or null if the job was started `most` times again already.
 * @throws DistmisError SLURM_FAILED if neither is possible
 */
export async function putBackInQueue(most: number): Promise<string | null> {
  const { jobId, restarts } = await findAllocation();
  if (restarts >= most) return null;
  const count = `restart ${restarts + 1} of at most ${most}`;
  try {
    await slurm("scontrol", ["requeue", jobId]);
  } catch (error) {
    return `job ${await submitSuccessor(jobId, restarts, messageOf(error))} follows job ${jobId} (${count})`;
  }
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    try {
      await slurm("scontrol", ["update", `JobId=${jobId}`, "StartTime=now"]);
      break;
    } catch {
      // Not taken back yet. Without it the job only starts later.
      await delay(PAUSE_MILLISECONDS);
    }
  }
  return `job ${jobId} is back in the queue (${count})`;
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
