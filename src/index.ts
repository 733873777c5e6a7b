/**
 * distmis for programs: make data, connect to a cluster, define an experiment, iterate over its events, get the best model.
 *
 * ```ts
 * const cluster = await connect({ gpus: 2 });
 * try {
 *   const run = runExperiment(cluster, await loadExperiment("exp.yaml"), { runDir: "runs/exp" });
 *   for await (const event of run) if (event.type === "trial_ended") console.log(event.trial, event.best?.value);
 *   console.log((await run.results).best?.dir);
 * } finally {
 *   await cluster.close();
 * }
 * ```
 */
export { type Certificate, type CertificateOptions, defaultTokenFile, makeCertificate } from "./access/index.ts";
export {
  findAllocation,
  isPreempted,
  ownBatchScript,
  ownJob,
  putBackInQueue,
  type Successor,
  startOnFirstNode,
} from "./allocation/index.ts";
export {
  analyseRun,
  type Comparison,
  compareRuns,
  factsOf,
  type Importance,
  importanceOf,
  type Marginal,
  type MarginalValue,
  type Replicates,
  type RunAnalysis,
  type RunFacts,
  replicatesOf,
  type Spread,
} from "./analysis/index.ts";
export { type Cluster, type ConnectOptions, connect } from "./cluster/index.ts";
export {
  defineExperiment,
  type Experiment,
  type ExperimentInput,
  type LoadOptions,
  loadAugmentation,
  loadExperiment,
  type Parameters,
  type ParameterValue,
  type ResourcesConfig,
  type TrialConfig,
  trialConfig,
} from "./config/index.ts";
export {
  type Dashboard,
  type DashboardOptions,
  type Figures,
  type PageReport,
  serveDashboard,
  writeFigures,
  writePageReport,
} from "./dashboard/index.ts";
export { DistmisError, type ErrorCode, messageOf } from "./errors/index.ts";
export {
  type Collected,
  type CollectOptions,
  checkInputs,
  collectRun,
  type DryRun,
  type DryRunOptions,
  type DryTrial,
  dryRun,
  type EpochEnded,
  type Estimate,
  findTrial,
  type LogLine,
  type Pace,
  type Run,
  type RunEnded,
  type RunEvent,
  type RunOptions,
  type RunPlaced,
  type RunReading,
  type RunResults,
  type RunStarted,
  type RunState,
  readRun,
  readTrialLogs,
  runExperiment,
  runFiles,
  runTask,
  type TaskOptions,
  type TrialEnded,
  type TrialRetried,
  type TrialStarted,
  type TrialState,
  type TrialSummary,
  trialLogs,
  type WatchOptions,
  watchRun,
} from "./experiment/index.ts";
export { findCheckpoint, type Prediction, type PredictOptions, predict } from "./inference/index.ts";
export {
  defaultNodes,
  findLocalCluster,
  type LocalCluster,
  type LocalClusterOptions,
  type LocalNode,
  NODE_LABEL,
  type NodeStatus,
  type StartedCluster,
  startLocalCluster,
  stopLocalCluster,
} from "./local-cluster/index.ts";
export {
  type CaseScores,
  type EvaluateOptions,
  type EvaluationResult,
  evaluateFolders,
  type Scores,
  type ScoreTable,
  writeEvaluationCsv,
} from "./metrics/index.ts";
export { type ExportOptions, exportModel } from "./model-folder/index.ts";
export { inspectNifti, type NiftiInspection } from "./nifti/index.ts";
export { packageRoot } from "./paths/index.ts";
export { makePhantom, type PhantomOptions, type PhantomResult } from "./phantom/index.ts";
export { type NiftiFiles, type Picture, type SampleChoice, type VisualizeOptions, visualize } from "./picture/index.ts";
export {
  type WriteProgress,
  type WriteTfrecordsOptions,
  type WriteTfrecordsResult,
  writeTfrecords,
} from "./prepare/index.ts";
export {
  connectServer,
  type ExperimentInfo,
  type RemoteRun,
  type RemoteServer,
  type ServerOptions,
  type Submitting,
} from "./remote/index.ts";
export {
  analysisText,
  bestTrialLine,
  clusterTable,
  comparisonText,
  createReporter,
  dryRunText,
  evaluationTable,
  experimentsTable,
  formatBytes,
  formatMetric,
  formatParameters,
  jobLine,
  type PaperRun,
  paperOf,
  paperText,
  type Reporter,
  type ReporterOptions,
  type ReportStream,
  resultsTable,
  runLine,
  type TableOptions,
  writePaper,
} from "./report/index.ts";
export { checkFolder, defaultRunDir, runsToCsv } from "./run-folder/index.ts";
export { exportStudy } from "./search/index.ts";
export { type ExperimentServer, type ServeOptions, serve } from "./server/index.ts";
export {
  cancelJob,
  checkCapacity,
  type GivenSettings,
  type Job,
  type JobPlan,
  type JobSettings,
  type JobState,
  jobHasEnded,
  jobSettings,
  jobState,
  readJobLog,
  readJobs,
  readProfile,
  recordJob,
  refuseLiveJob,
  type SubmittedJob,
  scriptOf,
  submitJob,
} from "./slurm/index.ts";
export { clearCommand } from "./staging/index.ts";
