/** What a run tells while it goes on: for the terminal, for `--json`, for programs. */
import type { Parameters } from "../config/index.ts";
import type { TrialState } from "../run-folder/index.ts";

interface Timed {
  /** ISO 8601, UTC. */
  time: string;
}

export interface RunStarted extends Timed {
  type: "run_started";
  name: string;
  /** Absolute. */
  runDir: string;
  /** How many trials there will be; null if that is open. */
  trials: number | null;
  /** How many of them had ended before, in an earlier part of this run. */
  endedBefore: number;
  /** Those of them that failed or were pruned. */
  failedBefore: number;
  prunedBefore: number;
  continued: boolean;
  metric: string;
  mode: "max" | "min";
  /** The best trial of the parts before; null if none has a value. */
  best: { trial: string; value: number; epoch: number; parameters: Parameters } | null;
}

/** The cluster has been asked, or has changed: so many trials run at once. */
export interface RunPlaced extends Timed {
  type: "run_placed";
  /** Nodes that have come and gone since the last time; empty at the start. */
  change: string;
  /** How many trials there are to run; null if that is open. */
  trials: number | null;
  /** The most trials at once. */
  concurrency: number;
  /** By the replicas that trials have: how many of those trials run at once when they are alone. */
  sizes: { replicas: number; concurrency: number }[];
  /** Replicas that there is room for, whatever the trials. */
  room: number;
  /** CPUs and GPUs of one replica. */
  cpus: number;
  gpus: number;
}

export interface TrialStarted extends Timed {
  type: "trial_started";
  trial: string;
  attempt: number;
  parameters: Parameters;
  replicas: number;
  nodes: string[];
  gpus: string[];
}

export interface EpochEnded extends Timed {
  type: "epoch";
  trial: string;
  attempt: number;
  epoch: number;
  epochs: number;
  metrics: Record<string, number>;
  seconds: number;
  volumesPerSecond: number;
  peakResidentBytes: number;
  /** Relative to the trial's folder; empty if none was written. */
  checkpoint: string;
}

/** An attempt failed by no fault of the trial; it is started again. */
export interface TrialRetried extends Timed {
  type: "trial_retried";
  trial: string;
  /** The attempt that failed. */
  attempt: number;
  /** How often it was lost so far; a port that was taken is not counted. */
  failures: number;
  maxFailures: number;
  /** Until it is tried again. */
  delaySeconds: number;
  error: string;
}

export interface TrialEnded extends Timed {
  type: "trial_ended";
  trial: string;
  /** `interrupted`: it goes on when the run continues. */
  state: "completed" | "failed" | "pruned" | "interrupted";
  best: { value: number; epoch: number } | null;
  metrics: Record<string, number>;
  /** Of all its attempts. */
  seconds: number;
  error: string | null;
  /** What it was and where its last attempt ran, for those who have not heard of its start. */
  parameters: Parameters;
  epoch: number;
  epochs: number;
  replicas: number;
  nodes: readonly string[];
  gpus: readonly string[];
}

export interface LogLine extends Timed {
  type: "log";
  /** Null if it is about the run. */
  trial: string | null;
  /** `distmis`: from the orchestrator itself; the others are the trainer's. */
  stream: "stdout" | "stderr" | "distmis";
  /** The replica that printed it; null for what is not a trainer's. */
  rank: number | null;
  text: string;
}

export interface RunEnded extends Timed {
  type: "run_ended";
  state: "finished" | "interrupted";
  /** Which limit of the search has ended it, in words; null if none. */
  limit: string | null;
  /** The best trial, null if none has a value of the metric. */
  best: string | null;
  completed: number;
  failed: number;
  pruned: number;
  /** Wall time of this part of the run. */
  seconds: number;
}

export type RunEvent =
  | RunStarted
  | RunPlaced
  | TrialStarted
  | EpochEnded
  | TrialRetried
  | TrialEnded
  | LogLine
  | RunEnded;

/** What of a trial its end tells again. */
export function trialFacts({ parameters, epoch, epochs, replicas, nodes, gpus }: TrialState) {
  return { parameters, epoch, epochs, replicas, nodes, gpus };
}

/** A word of distmis itself on the run. */
export function remark(text: string): RunEvent {
  return { type: "log", time: new Date().toISOString(), trial: null, stream: "distmis", rank: null, text };
}
