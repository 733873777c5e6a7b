/** Runs for people to look at. */
export { clusterTable } from "./cluster-table.ts";
export { dryRunText } from "./dry-run.ts";
export { evaluationTable } from "./evaluation-table.ts";
export { experimentsTable } from "./experiments-table.ts";
export { formatBytes, formatMetric, formatParameters, formatSeconds } from "./format.ts";
export { createReporter, type Reporter, type ReporterOptions, type ReportStream } from "./reporter.ts";
export { resultsTable, type TableOptions } from "./table.ts";
