/** A search that is longer than a job may be: the job goes back into the queue, or is followed by another one. */
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, messageOf } from "../errors/index.ts";
import { batchScript, isPassing, jobState, sbatch, slurm } from "../slurm/index.ts";
import { findAllocation, ownJob } from "./allocation.ts";

/** What became of the job. */
export interface Requeued {
  /** For a person. */
  said: string;
  /** The job that follows this one; null if it is the same, or there is none. */
  successor: Successor | null;
}

export interface Successor {
  job: string;
  cluster: string | null;
  script: string;
}

/** A controller that is busy or restarts; the time until the job's own end goes by meanwhile. */
const ATTEMPTS = 4;
const PAUSE_MILLISECONDS = 5_000;
/** What was not even heard. */
const UNHEARD = /unable to contact|connect failure|connection refused/i;

/**
 * Puts the job of this process back into the queue, unless it was cancelled; where that is not allowed, submits its script again as
 * a job that begins when this one has ended. SLURM ends this process soon after it is requeued, so all must be on the disk; it
 * starts the job again after two minutes at the earliest, when its credentials have expired.
 * @throws DistmisError SLURM_FAILED if neither is possible
 */
export async function putBackInQueue(most: number): Promise<Requeued> {
  const { jobId: number, restarts } = await findAllocation();
  const jobId = ownJob() ?? number;
  const count = `restart ${restarts + 1} of at most ${most}`;
  let failure: unknown = null;
  for (let attempt = 1; ; attempt++) {
    const fate = await fateOf(jobId);
    if (fate === "cancelled")
      return { said: `job ${jobId} was cancelled: it is not put back into the queue`, successor: null };
    // Also by what has failed before: SLURM ends the processes of a requeued job, its own program among them.
    if (fate === "requeued") break;
    if (restarts >= most) {
      const said = `the job is not put back into the queue: it was ${most} times (--max-requeues)`;
      return { said, successor: null };
    }
    if (failure !== null) {
      const why = messageOf(failure);
      // While it is not known what became of this job there must be no second one.
      if (fate === "open" && !isPassing(failure)) {
        const successor = await submitSuccessor(jobId, restarts, why).catch((error: unknown) => {
          if (attempt > ATTEMPTS || !UNHEARD.test(messageOf(error))) throw error;
          return null;
        });
        if (successor !== null) return { said: `job ${successor.job} follows job ${jobId} (${count})`, successor };
        await delay(PAUSE_MILLISECONDS);
        continue;
      }
      if (attempt > ATTEMPTS)
        throw new DistmisError(
          "SLURM_FAILED",
          `job ${jobId} could not be put back into the queue: ${why}; start the same command again, it goes on`,
          { cause: failure },
        );
      await delay(PAUSE_MILLISECONDS);
    }
    try {
      await slurm("scontrol", ["requeue", jobId]);
      break;
    } catch (error) {
      failure = error;
    }
  }
  return { said: `job ${jobId} is back in the queue (${count})`, successor: null };
}

/** What SLURM has decided on this job: nothing yet, or by somebody's word that it runs again, or that it does not; null if it doesn't say. */
async function fateOf(jobId: string): Promise<"open" | "requeued" | "cancelled" | null> {
  const known = await ownState(jobId);
  if (known === null) return null;
  const { state, reason, restarts, preempted } = known;
  if (state === "PENDING" || state.startsWith("REQUEUE") || restarts > Number(process.env.SLURM_RESTART_COUNT ?? 0))
    return "requeued";
  if (["CANCELLED", "DEADLINE", "REVOKED"].includes(state)) return "cancelled";
  // Its end has begun. At its time limit, or on a lost node, SLURM says why; a person's word has no reason.
  return state === "COMPLETING" && reason === null && !preempted ? "cancelled" : "open";
}

async function ownState(jobId: string) {
  return jobState({ job: jobId, cluster: null, script: null }).catch(() => null);
}

/** The script is read where it was submitted: SLURM keeps a copy for as long as the job lives. */
async function submitSuccessor(jobId: string, restarts: number, why: string): Promise<Successor> {
  const batch = await batchScript(jobId, ownArguments());
  if (batch === null) {
    throw new DistmisError(
      "SLURM_FAILED",
      `job ${jobId} can't be put back into the queue (${why}), and its batch script is not known (of a script with arguments of its own, \`export DISTMIS_BATCH_ARGUMENTS=$#\` in it tells how many), so no other job can follow it: start the same command again`,
    );
  }
  const submitted = await sbatch([
    `--dependency=afterany:${jobId}`,
    `--export=ALL,DISTMIS_RESTARTS=${restarts + 1}`,
    // Else all of its tasks would come again.
    ...(batch.task === null ? [] : [`--array=${batch.task}`]),
    batch.file,
    ...batch.args,
  ]);
  return { ...submitted, script: batch.file };
}

/** What the batch script may have got as arguments, and handed on to `distmis run`: it says how many. */
function ownArguments(): string[][] {
  const count = Number(process.env.DISTMIS_BATCH_ARGUMENTS || 0);
  const words = process.argv.slice(3);
  if (count === 0 || count > words.length) return [];
  return Array.from({ length: words.length - count + 1 }, (_, at) => words.slice(at, at + count));
}

/** The batch script in which this process runs, as it was submitted; null if there is none, or SLURM does not say. */
export async function ownBatchScript(): Promise<string | null> {
  const job = ownJob();
  if (job === null) return null;
  return (await batchScript(job, ownArguments()).catch(() => null))?.file ?? null;
}

/** Whether SLURM has promised the nodes of this job to another one, and has ended its steps; false where it does not say. */
export async function isPreempted(): Promise<boolean> {
  const job = ownJob();
  return job !== null && ((await ownState(job))?.preempted ?? false);
}
