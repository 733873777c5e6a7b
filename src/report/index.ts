/** Runs for people to look at. */
export { analysisText, comparisonText, runLine } from "./analysis-text.ts";
export { clusterTable } from "./cluster-table.ts";
export { clusterFindingsText, findingsText } from "./doctor-text.ts";
export { dryRunText } from "./dry-run.ts";
export { evaluationTable } from "./evaluation-table.ts";
export { experimentsTable } from "./experiments-table.ts";
export { formatBytes, formatMetric, formatParameters, formatSeconds } from "./format.ts";
export { jobLine } from "./job-text.ts";
export { paperOf, writePaper } from "./paper.ts";
export { type PaperRun, paperText } from "./paper-text.ts";
export { createReporter, type Reporter, type ReporterOptions, type ReportStream } from "./reporter.ts";
export { bestTrialLine, resultsTable, type TableOptions } from "./table.ts";
