/** The table of results for the terminal. */
import type { RunResults, TrialSummary } from "../experiment/index.ts";
import { type Column, columnTable } from "./columns.ts";
import { formatMetric, formatParameters, formatSeconds, formatValue, printable, shortNames } from "./format.ts";

export interface TableOptions {
  /** Columns of the terminal; Infinity when the output is not one. */
  width: number;
  /** How many trials and failures are shown; the rest is counted. Default 40. */
  rows?: number;
}

const DEFAULT_ROWS = 40;
const MAX_FAILURES = 10;

/** Trials best first, with the parameters that differ between them, then the failures; no newline at the end. */
export function resultsTable(results: Pick<RunResults, "trials" | "metric">, options: TableOptions): string {
  const limit = options.rows ?? DEFAULT_ROWS;
  const shown = results.trials.slice(0, limit);
  const lines = [columnTable(columnsOf(results, shown), options.width)];
  if (results.trials.length > limit) lines.push(`and ${results.trials.length - limit} more in results.csv`);
  const failures = results.trials.filter((trial) => trial.state === "failed");
  for (const { trial, error } of failures.slice(0, MAX_FAILURES)) {
    lines.push(`trial ${trial} failed: ${printable(error ?? "")}`);
  }
  if (failures.length > MAX_FAILURES) lines.push(`and ${failures.length - MAX_FAILURES} more failures in results.csv`);
  return lines.join("\n");
}

/** The best trial in one line; null if none has a value. */
export function bestTrialLine({ best, metric }: Pick<RunResults, "best" | "metric">): string | null {
  if (best?.best == null) return null;
  const parameters = formatParameters(best.parameters);
  const value = `${metric} ${formatMetric(best.best.value)} at epoch ${best.best.epoch}`;
  return `best trial ${best.trial}: ${value}${parameters === "" ? "" : ` (${parameters})`}`;
}

function columnsOf(results: Pick<RunResults, "trials" | "metric">, trials: readonly TrialSummary[]): Column[] {
  const varied = variedParameters(results.trials);
  const names = shortNames(varied);
  const column = (
    head: string,
    cell: (trial: TrialSummary) => string,
    right: boolean,
    dropped: number | null,
  ): Column => ({
    head,
    cells: trials.map((trial) => printable(cell(trial))),
    right,
    dropped,
  });
  const allCompleted = results.trials.every((trial) => trial.state === "completed");
  return [
    column("trial", ({ trial }) => trial, false, null),
    ...varied.map((path) => ({
      ...column(names.get(path) ?? path, ({ parameters }) => formatValue(parameters[path]), true, null),
      last: true,
    })),
    column(`best ${results.metric}`, ({ best }) => formatMetric(best?.value), true, null),
    column("epoch", ({ best, epochs }) => `${best?.epoch ?? "-"}/${epochs}`, true, 1),
    column("time", ({ seconds }) => formatSeconds(seconds), true, 0),
    ...(allCompleted ? [] : [column("state", ({ state }) => state, false, null)]),
  ];
}

/** Parameters that differ between trials; all of a single trial. */
function variedParameters(trials: readonly TrialSummary[]): string[] {
  const paths = [...new Set(trials.flatMap(({ parameters }) => Object.keys(parameters)))];
  return trials.length < 2
    ? paths
    : paths.filter((path) => new Set(trials.map(({ parameters }) => parameters[path])).size > 1);
}
