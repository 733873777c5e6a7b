/** A search in a SLURM job: it outlives the Ray of the job, and the job's time limit. */
import { readlink } from "node:fs/promises";
import path from "node:path";
import {
  DistmisError,
  isPreempted,
  messageOf,
  ownBatchScript,
  ownJob,
  putBackInQueue,
  recordJob,
  type Successor,
} from "../index.ts";
import { say } from "./say.ts";
import type { StopSignals } from "./signals.ts";

/** How often Ray is started again in one job: what ends it more often than this is no accident. */
const RAY_RESTARTS = 3;

export interface Attempt {
  /** Ray is there; what goes wrong from now on is no fault of the start. */
  connected(): void;
  /** Whether the same process has begun the run before. */
  again: boolean;
}

export interface JobSearch {
  /** Runs or continues the search; resolves with whether it came to its end. */
  run(attempt: Attempt): Promise<boolean>;
  signals: StopSignals;
  runDir: string;
  maxRequeues: number;
}

/**
 * Runs the search, again on a new Ray if the head is lost, and puts the job back into the queue if its time limit or a more urgent
 * job ends the search.
 * @throws DistmisError as `run` does
 */
export async function runInJob({ run, signals, runDir, maxRequeues }: JobSearch): Promise<void> {
  let ended = false;
  try {
    for (let restarts = 0; ; restarts++) {
      let connected = false;
      try {
        ended = await run({ again: restarts > 0, connected: () => (connected = true) });
        break;
      } catch (error) {
        const isLost = error instanceof DistmisError && error.code === "CLUSTER_UNAVAILABLE" && connected;
        if (!isLost || signals.stop.aborted || restarts === RAY_RESTARTS || (await isPreempted())) throw error;
        say(`${error.message}; Ray is started again on the nodes of the job`);
      }
    }
  } finally {
    // SLURM ends the steps of a job that is preempted, and may end what has not begun yet.
    if (!ended && maxRequeues > 0 && (signals.timeIsUp() || (await isPreempted())))
      await goOnLater(runDir, maxRequeues);
  }
}

/** Says what goes wrong, and does not throw: what has ended the search is what the command ends with. */
async function goOnLater(runDir: string, maxRequeues: number): Promise<void> {
  try {
    const { said, successor } = await putBackInQueue(maxRequeues);
    say(said);
    if (successor !== null) await recordSuccessor(runDir, successor);
  } catch (error) {
    say(messageOf(error));
  }
}

/** `distmis submit` has written down its job; those of scripts and shells of the user's own are written down here. */
export async function recordThisJob(runDir: string): Promise<void> {
  const job = ownJob();
  if (job === null) return;
  await recordJob(runDir, { job, by: "hand", script: await ownBatchScript(), log: await ownLog() });
}

/** It is known from now on, so that it can be told of, and cancelled, while it waits. */
async function recordSuccessor(runDir: string, { job, cluster, script }: Successor): Promise<void> {
  const { SLURM_JOB_ID: own = "" } = process.env;
  const log = await ownLog();
  // Its pattern is this job's.
  const its = log === null ? null : path.join(path.dirname(log), path.basename(log).replace(own, job));
  await recordJob(runDir, { job, cluster, by: "successor", script, log: its });
}

async function ownLog(): Promise<string | null> {
  const output = await readlink("/proc/self/fd/1").catch(() => "");
  return path.isAbsolute(output) && !output.startsWith("/dev/") ? output : null;
}
