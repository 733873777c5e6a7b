/** What a run leaves on disk: its journal, the state that follows from it, its results; read and written here alone. */
export { checkFolder } from "./check-folder.ts";
export { type Collected, type CollectOptions, collectRun } from "./collect.ts";
export { type Extension, type OpenOptions, planExtension } from "./extend.ts";
export { type FollowOptions, followJournal, type JournalNews } from "./follow-journal.ts";
export { followRun, type RunFollower } from "./follow-run.ts";
export { CONFIG_NAME, checkpointFiles, logName, previewFiles, runFiles, trialId } from "./layout.ts";
export { defaultRunDir, freshName } from "./names.ts";
export { openRun, type RunFolder } from "./open-run.ts";
export { type PreviewFacts, readPreviews } from "./previews.ts";
export { noRun, type RunReading, readRun } from "./read-run.ts";
export type { JournalRecord, RecordBody } from "./record.ts";
export {
  bestOf,
  createResultsWriter,
  type ResultsWriter,
  type RunResults,
  rankedResults,
  rankedSummaries,
  runsToCsv,
  type TrialSummary,
} from "./results.ts";
export { bestEpoch, createReducer, emptyState, hasEnded, type RunState, type TrialState } from "./state.ts";
export {
  findTrial,
  type LogPiece,
  type ReadLogOptions,
  readTrialLogs,
  type TrialLog,
  trialLogs,
} from "./trial-logs.ts";
