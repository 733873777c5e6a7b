/** A run's events, from what its journal says of it. */
import {
  bestEpoch,
  createReducer,
  emptyState,
  type JournalRecord,
  type RunResults,
  type RunState,
  rankedResults,
} from "../run-folder/index.ts";
import { bestBefore, endedBefore } from "./announce.ts";
import { type RunEvent, trialFacts } from "./events.ts";
import { retryDelay } from "./judge.ts";
import { plannedTrials } from "./planned.ts";

type RecordOf<Type extends JournalRecord["type"]> = Extract<JournalRecord, { type: Type }>;

export interface Replay {
  /** Takes the next record. What the journal doesn't hold (what trainers print, most remarks) is not told. */
  events(record: JournalRecord): RunEvent[];
  /** How the last part of the run has ended; null while it goes on. */
  ending(): "finished" | "interrupted" | null;
  /** Who works on it, or did last; null before the first record. */
  by(): { host: string; pid: number; lastTime: string } | null;
  /** What the run has come to, but for its model. Only after the first record. */
  results(): Omit<RunResults, "model">;
}

/** @param runDir absolute */
export function createReplay(runDir: string): Replay {
  const state = emptyState();
  const reduce = createReducer(state);
  let by: { host: string; pid: number } | null = null;
  let began = 0;
  let lastTime = "";
  let ending: ReturnType<Replay["ending"]> = null;

  const begin = (record: RecordOf<"run_started" | "run_continued" | "run_extended">): RunEvent[] => {
    const { type, time, host, pid, experiment } = record;
    by = { host, pid };
    began = Date.parse(time);
    ending = null;
    const event: RunEvent = {
      type: "run_started",
      time,
      name: experiment.name,
      runDir,
      trials: plannedTrials(state, experiment),
      ...endedBefore(state),
      continued: type !== "run_started",
      metric: experiment.search.metric,
      mode: experiment.search.mode,
      best: bestBefore(state, experiment),
    };
    const changes = type === "run_extended" ? record.changes : [];
    return [event, ...changes.map((change) => remarkAt(time, `extended: ${change}`))];
  };

  const start = ({ time, trial, attempt, placed, ...where }: RecordOf<"attempt_started">): RunEvent[] => {
    const { replicas, nodes, gpus } = where;
    const parameters = state.trials.get(trial)?.parameters ?? {};
    const event: RunEvent = { type: "trial_started", time, trial, attempt, parameters, replicas, nodes, gpus };
    return placed === undefined ? [event] : [{ type: "run_placed", time, ...placed }, event];
  };

  const again = ({ time, trial, attempt, cause, error }: RecordOf<"attempt_ended">): RunEvent[] => {
    if (cause === "interrupted" || cause === "limit") return [ended(trial, time, "interrupted", error)];
    const failure = state.experiment?.failure;
    const failures = state.trials.get(trial)?.failures ?? 0;
    const delaySeconds = cause === "port_taken" || failure === undefined ? 0 : retryDelay(failure, failures);
    const maxFailures = failure?.max_failures ?? 0;
    return [{ type: "trial_retried", time, trial, attempt, failures, maxFailures, delaySeconds, error }];
  };

  const ended = (
    trial: string,
    time: string,
    how: Extract<RunEvent, { type: "trial_ended" }>["state"],
    error: string | null,
  ): RunEvent => {
    const known = state.trials.get(trial);
    if (known === undefined) throw new Error(`the journal ends trial ${trial} before it creates it`);
    return {
      type: "trial_ended",
      time,
      trial,
      state: how,
      best: bestEpoch(known, state.experiment?.search.mode ?? "max"),
      metrics: { ...known.lastMetrics, ...(how === "interrupted" ? {} : known.finalMetrics) },
      seconds: known.seconds,
      error,
      ...trialFacts(known),
    };
  };

  const end = ({ time, state: how, limit }: RecordOf<"run_ended">): RunEvent[] => {
    ending = how;
    const { experiment } = state;
    const count = (of: string): number => [...state.trials.values()].filter((trial) => trial.state === of).length;
    return [
      {
        type: "run_ended",
        time,
        state: how,
        limit: limit ?? null,
        best: (experiment === null ? null : bestBefore(state, experiment))?.trial ?? null,
        completed: count("completed"),
        failed: count("failed"),
        pruned: count("pruned"),
        seconds: Math.max(0, Date.parse(time) - began) / 1000,
      },
    ];
  };

  return {
    events(record) {
      reduce(record);
      lastTime = record.time;
      switch (record.type) {
        case "run_started":
        case "run_continued":
        case "run_extended":
          return begin(record);
        case "attempt_started":
          return start(record);
        case "epoch": {
          const { seq: _seq, ...event } = record;
          return [event];
        }
        case "attempt_ended":
          return again(record);
        case "trial_ended":
          return [ended(record.trial, record.time, record.state, record.error)];
        case "run_ended":
          return end(record);
        default:
          return [];
      }
    },
    ending: () => ending,
    by: () => (by === null ? null : { ...by, lastTime }),
    results: () => resultsOf(state, runDir),
  };
}

function resultsOf(state: RunState, runDir: string): Omit<RunResults, "model"> {
  if (state.experiment === null) throw new Error("no record was replayed");
  return rankedResults(state, state.experiment, runDir);
}

function remarkAt(time: string, text: string): RunEvent {
  return { type: "log", time, trial: null, stream: "distmis", rank: null, text };
}
