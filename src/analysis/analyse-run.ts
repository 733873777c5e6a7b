/** One run, as far as it has come. */
import { bestOf, type RunReading, rankedSummaries, type TrialSummary } from "../run-folder/index.ts";
import { type Marginal, marginalsOf } from "./marginals.ts";

export interface RunAnalysis {
  name: string;
  /** Absolute. */
  runDir: string;
  /** `running`: an orchestrator works on it. */
  state: "finished" | "running" | "interrupted";
  /** Which limit of the search has ended it, in words; null if none. */
  limit: string | null;
  /** What ranks the trials. */
  metric: string;
  mode: "max" | "min";
  /** ISO 8601. */
  startedAt: string;
  /** Wall time of all its parts, and its trials' time times the GPUs that they had. */
  wallSeconds: number;
  gpuSeconds: number;
  /** How many trials are in each state. */
  counts: Record<TrialSummary["state"], number>;
  /** Best first, as in results.csv. */
  trials: TrialSummary[];
  /** The first of them if it has a value. */
  best: TrialSummary | null;
  marginals: Marginal[];
}

export function analyseRun(reading: RunReading): RunAnalysis {
  const { dir, experiment, state } = reading;
  const { metric, mode } = experiment.search;
  const trials = rankedSummaries(state, experiment, dir);
  const counts = { completed: 0, running: 0, waiting: 0, pruned: 0, failed: 0 };
  for (const trial of trials) counts[trial.state]++;
  return {
    name: experiment.name,
    runDir: dir,
    state: stateOf(reading),
    limit: state.limit,
    metric,
    mode,
    startedAt: state.startedAt,
    wallSeconds: state.wallSeconds,
    gpuSeconds: [...state.trials.values()].reduce((sum, trial) => sum + trial.gpuSeconds, 0),
    counts,
    trials,
    best: bestOf(trials),
    marginals: marginalsOf(trials, mode),
  };
}

export function stateOf({ state, owner }: RunReading): RunAnalysis["state"] {
  if (state.finished) return "finished";
  return owner === null ? "interrupted" : "running";
}
