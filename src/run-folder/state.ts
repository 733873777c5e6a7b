/** The state of a run as the fold of its journal: the same function serves the live run and the one that continues. */
import type { Experiment, Parameters } from "../config/index.ts";
import { type EpochValue, EpochValues } from "./epoch-values.ts";
import type { JournalRecord } from "./record.ts";

export interface TrialState {
  readonly id: string;
  readonly parameters: Parameters;
  state: "waiting" | "running" | "completed" | "failed" | "pruned";
  /** How often it was started. */
  attempts: number;
  /** How often it was lost by a fault of a machine. */
  failures: number;
  /** The last epoch that was reported, and how many there are. */
  epoch: number;
  epochs: number;
  /** The search's metric by epoch; a later attempt replaces what it repeats. */
  readonly values: EpochValues;
  /** Whether `distmis gc` has removed checkpoints of it. */
  collected: boolean;
  /** The last report's metrics. */
  lastMetrics: Readonly<Record<string, number>>;
  /** What the task handed back at its end. */
  finalMetrics: Readonly<Record<string, number>>;
  /** Wall time over all attempts, in seconds. */
  seconds: number;
  /** The same times the GPUs that each attempt had. */
  gpuSeconds: number;
  /** Of the last attempt. */
  replicas: number;
  /** Numbers of the records by which it was made and by which it ended; 0 before. */
  readonly createdAt: number;
  endedAt: number;
  nodes: readonly string[];
  gpus: readonly string[];
  error: string | null;
}

export interface RunState {
  experiment: Experiment | null;
  trials: Map<string, TrialState>;
  /** Set by the end of a run in which every trial has ended. */
  finished: boolean;
  /** Which limit of the search has ended it, in words; null if none. */
  limit: string | null;
  /** Wall time of all parts of the run, in seconds. */
  wallSeconds: number;
  /** ISO 8601; empty before the first record. */
  startedAt: string;
}

export function emptyState(): RunState {
  return { experiment: null, trials: new Map(), finished: false, limit: null, wallSeconds: 0, startedAt: "" };
}

/** What trials have in common is in memory once: there may be many of them. */
const NONE: Readonly<Record<string, number>> = {};
const NOWHERE: readonly string[] = [];

/** Applies one record. */
export type Reducer = (record: JournalRecord) => void;

/** Records that the time since the one before them does not belong to: nobody worked then. */
const BETWEEN_PARTS = new Set<JournalRecord["type"]>([
  "run_started",
  "run_continued",
  "run_extended",
  "checkpoints_removed",
]);

/** The function that applies records to `state`. */
export function createReducer(state: RunState): Reducer {
  // When the running attempt was last heard of; what follows until the next record is not known if we die.
  const lastHeard = new Map<string, number>();
  const trialOf = (id: string): TrialState => {
    const trial = state.trials.get(id);
    if (trial === undefined) throw new Error(`the journal speaks of trial ${id} before it creates it`);
    return trial;
  };
  const clock = (trial: TrialState, time: string): void => {
    const now = Date.parse(time);
    const seconds = Math.max(0, now - (lastHeard.get(trial.id) ?? now)) / 1000;
    trial.seconds += seconds;
    trial.gpuSeconds += seconds * trial.replicas * (state.experiment?.resources.gpus_per_replica ?? 0);
    lastHeard.set(trial.id, now);
  };
  const lists = new Map<string, readonly string[]>();
  const sameList = (list: readonly string[]): readonly string[] => {
    const key = list.join("\n");
    const known = lists.get(key) ?? list;
    lists.set(key, known);
    return known;
  };
  // Between two parts of a run nothing is recorded.
  let lastTime = 0;
  const wallClock = (record: JournalRecord): void => {
    const now = Date.parse(record.time);
    if (!BETWEEN_PARTS.has(record.type)) state.wallSeconds += Math.max(0, now - lastTime) / 1000;
    lastTime = now;
  };
  return (record) => {
    wallClock(record);
    switch (record.type) {
      case "run_started":
        state.experiment = record.experiment;
        state.startedAt = record.time;
        break;
      case "run_continued":
      case "run_extended":
        state.experiment = record.experiment;
        state.finished = false;
        state.limit = null;
        for (const trial of state.trials.values()) if (trial.state === "running") trial.state = "waiting";
        if (record.type === "run_extended") for (const id of record.reopened) reopen(trialOf(id));
        break;
      case "trial_created":
        if (state.trials.has(record.trial)) throw new Error(`the journal creates trial ${record.trial} twice`);
        state.trials.set(record.trial, newTrial(record.trial, record.parameters, record.seq));
        break;
      case "attempt_started": {
        const trial = trialOf(record.trial);
        lastHeard.delete(trial.id);
        clock(trial, record.time);
        trial.state = "running";
        trial.attempts = record.attempt;
        trial.replicas = record.replicas;
        trial.nodes = sameList(record.nodes);
        trial.gpus = sameList(record.gpus);
        break;
      }
      case "epoch": {
        const trial = trialOf(record.trial);
        clock(trial, record.time);
        trial.epoch = record.epoch;
        trial.epochs = record.epochs;
        trial.lastMetrics = record.metrics;
        const value = record.metrics[state.experiment?.search.metric ?? ""];
        if (value !== undefined) trial.values.set(record.epoch, value, record.checkpoint, record.seq);
        break;
      }
      case "attempt_ended": {
        const trial = trialOf(record.trial);
        clock(trial, record.time);
        trial.state = "waiting";
        if (record.cause === "lost" || record.cause === "stalled") {
          trial.failures++;
          trial.error = record.error;
        }
        break;
      }
      case "trial_ended": {
        const trial = trialOf(record.trial);
        clock(trial, record.time);
        lastHeard.delete(trial.id);
        trial.state = record.state;
        trial.endedAt = record.seq;
        trial.finalMetrics = Object.keys(record.metrics).length > 0 ? record.metrics : NONE;
        trial.error = record.error;
        break;
      }
      case "checkpoints_removed":
        for (const { trial, files } of record.trials) forget(trialOf(trial), files);
        break;
      case "run_ended":
        state.finished = record.state === "finished";
        state.limit = record.limit ?? null;
        break;
    }
  };
}

/** As if it had been interrupted where it ended. */
function reopen(trial: TrialState): void {
  trial.state = "waiting";
  trial.failures = 0;
  trial.finalMetrics = NONE;
  trial.error = null;
}

/** Epochs whose checkpoints were removed name none. */
function forget(trial: TrialState, files: readonly string[]): void {
  trial.collected = true;
  trial.values.forgetCheckpoints(files);
}

function newTrial(id: string, parameters: Parameters, createdAt: number): TrialState {
  return {
    id,
    parameters,
    state: "waiting",
    attempts: 0,
    failures: 0,
    epoch: 0,
    epochs: 0,
    values: new EpochValues(),
    collected: false,
    lastMetrics: NONE,
    finalMetrics: NONE,
    seconds: 0,
    gpuSeconds: 0,
    replicas: 1,
    createdAt,
    endedAt: 0,
    nodes: NOWHERE,
    gpus: NOWHERE,
    error: null,
  };
}

export function hasEnded({ state }: TrialState): boolean {
  return state === "completed" || state === "failed" || state === "pruned";
}

/** The epoch with the best value of the metric; the earliest of equal ones; null if there is none that is a number. */
export function bestEpoch(trial: TrialState, mode: "max" | "min"): Omit<EpochValue, "at"> | null {
  return trial.values.best(mode);
}
