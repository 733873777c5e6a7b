/**
 * What a task is: the code that works on a trial inside a trainer process. distmis brings `train` and `evaluate`; an
 * experiment can name a module of its own whose default export is one of these.
 */
import type { TrialConfig } from "../config/index.ts";

/**
 * What a task reports after an epoch, or whatever it counts as one. Of several replicas, rank 0's reports are the trial's;
 * of the others only `workSeconds` is looked at.
 */
export interface EpochReport {
  /** From 1; must grow with each report of an attempt. */
  epoch: number;
  /** How many there will be. */
  epochs: number;
  /** Metrics by name, for example loss, val_loss, val_dice. */
  metrics: Record<string, number>;
  /** Wall time of this epoch; 0 if not measured. */
  seconds: number;
  volumesPerSecond: number;
  /** Checkpoint written for it, relative to the trial's folder; empty if none. */
  checkpoint: string;
  /**
   * The part of `seconds` in which this replica worked, without its waits for the others; 0 or missing if not measured. By
   * this a replica that holds the others up is found: an all-reduce makes all epochs equally long.
   */
  workSeconds?: number;
}

/**
 * One attempt at one trial, as the task sees it.
 *
 * With several replicas each has a trainer with a task of its own. A trial ends when all of them have ended, as rank 0
 * says; the first one that throws fails it, and the others are asked to stop, and killed if they don't within seconds. Only
 * rank 0 writes into `dir`.
 */
export interface TrialContext {
  readonly trialId: string;
  /** From 1. */
  readonly attempt: number;
  readonly config: TrialConfig;
  /** The assignment's task-specific part, parsed from JSON; the task validates it. */
  readonly taskInput: unknown;
  /**
   * The last epoch whose report the run knows; 0 if there is none. Reports may be lost on their way: a task that goes on from a
   * later epoch than this one tells those in between again.
   */
  readonly reportedEpoch: number;
  /** Folder of the trial, absolute; made when it is first asked for, with config.json in it. */
  readonly dir: string;
  /** From 0. */
  readonly rank: number;
  /** How many there are, which may be less than `config.resources.replicas` (`resources.elastic`). */
  readonly replicas: number;
  /** host:port of each rank's TensorFlow server, by rank; empty with one replica. */
  readonly addresses: readonly string[];
  /** TensorFlow's threads for this worker: the CPUs that Ray reserved, at least 1. */
  readonly threads: number;
  /** What outlives the trial in a warm trainer, for example the decoded data set. Keyed by the owner's name. */
  readonly shared: Map<string, unknown>;
  /**
   * Whether the trial has been asked to stop; ask between two steps. Also true while the event loop was blocked.
   *
   * Of several replicas one may be asked a step earlier than another, and one that stops alone leaves the others waiting
   * in a collective operation. They agree by reducing the answer with what they reduce anyway: each adds 1 or 0 to the
   * same sum, and all stop after the step whose sum is not 0.
   */
  stopRequested(): boolean;
  /** Sends a report; resolves when the way to the orchestrator has room for more. Each replica reports its epochs. */
  report(report: EpochReport): Promise<void>;
}

/** How an attempt ended, when it did not throw. */
export interface TrialResult {
  /** True when it ended early because `stopRequested()`. */
  stopped: boolean;
  /** Final metrics, for example test_dice. */
  metrics: Record<string, number>;
}

export interface Task {
  run(trial: TrialContext): Promise<TrialResult>;
  /** After each trial: what is left of it (tensors, ...) that should not be, or null. A trainer with leftovers is replaced. */
  leftovers?(): string | null;
}
