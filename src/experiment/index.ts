/** Running experiments on a cluster: trials, gangs, results. */
export type {
  Collected,
  CollectOptions,
  RunReading,
  RunResults,
  RunState,
  TrialState,
  TrialSummary,
} from "../run-folder/index.ts";
export { collectRun, findTrial, readRun, readTrialLogs, runFiles, trialLogs } from "../run-folder/index.ts";
export type { Searcher, TrialOutcome } from "../search/index.ts";
export { checkInputs } from "./check-inputs.ts";
export { type DryRun, type DryRunOptions, dryRun } from "./dry-run.ts";
export type { DryTrial, Estimate } from "./estimate.ts";
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
export { modelOf } from "./leave-model.ts";
export type { Pace } from "./pace.ts";
export { type Run, type RunOptions, runExperiment } from "./run-experiment.ts";
export { runTask, type TaskOptions } from "./run-task.ts";
export { type WatchOptions, watchRun } from "./watch-run.ts";
