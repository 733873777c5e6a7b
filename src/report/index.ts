/** Runs for people to look at. */
export { evaluationTable } from "./evaluation-table.ts";
export { experimentsTable } from "./experiments-table.ts";
export { formatMetric, formatParameters, formatSeconds } from "./format.ts";
export { createReporter, type Reporter, type ReporterOptions, type ReportStream } from "./reporter.ts";
export { resultsTable, type TableOptions } from "./table.ts";
