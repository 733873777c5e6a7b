/** Running experiments on a cluster: trials, journal, results. */
export type {
  EpochEnded,
  LogLine,
  RunEnded,
  RunEvent,
  RunPlaced,
  RunStarted,
  TrialEnded,
  TrialRetried,
  TrialStarted,
} from "./events.ts";
export { runFiles } from "./layout.ts";
export type { RunResults, TrialSummary } from "./results.ts";
export { type Run, type RunOptions, runExperiment } from "./run-experiment.ts";
export { runTask, type TaskOptions } from "./run-task.ts";
export type { Searcher, TrialOutcome } from "./search.ts";
