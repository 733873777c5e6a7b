/** The table of results for the terminal. */
import Table from "cli-table3";
import type { RunResults, TrialSummary } from "../experiment/index.ts";
import { cut, formatMetric, formatSeconds, printable, shortNames } from "./format.ts";

export interface TableOptions {
  /** Columns of the terminal; Infinity when the output is not one. */
  width: number;
  /** How many trials and failures are shown; the rest is counted. Default 40. */
  rows?: number;
}

interface Column {
  head: string;
  cells: string[];
  right: boolean;
  /** Left out in this order where the terminal is too narrow; null: never. */
  dropped: number | null;
}

const DEFAULT_ROWS = 40;
const MAX_FAILURES = 10;
/** A column is not made narrower than this: five characters and the mark of the cut. */
const MIN_CELL = 6;
/** Border and padding of a cell. */
const CELL_FRAME = 3;

/** Trials best first, with the parameters that differ between them, then the failures; no newline at the end. */
export function resultsTable(results: RunResults, options: TableOptions): string {
  const limit = options.rows ?? DEFAULT_ROWS;
  const shown = results.trials.slice(0, limit);
  const columns = fit(columnsOf(results, shown), options.width);
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ right }) => (right ? "right" : "left")),
    // The library's colours would end up in files.
    style: { head: [], border: [], "padding-left": 1, "padding-right": 1, compact: true },
  });
  for (const row of shown.keys()) table.push(columns.map(({ cells }) => cells[row] ?? ""));
  const lines = [table.toString()];
  if (results.trials.length > limit) lines.push(`and ${results.trials.length - limit} more in results.csv`);
  const failures = results.trials.filter((trial) => trial.state === "failed");
  for (const { trial, error } of failures.slice(0, MAX_FAILURES)) {
    lines.push(`trial ${trial} failed: ${printable(error ?? "")}`);
  }
  if (failures.length > MAX_FAILURES) lines.push(`and ${failures.length - MAX_FAILURES} more failures in results.csv`);
  return lines.join("\n");
}

function columnsOf(results: RunResults, trials: readonly TrialSummary[]): Column[] {
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
    ...varied.map((path) =>
      column(names.get(path) ?? path, ({ parameters }) => String(parameters[path] ?? "-"), true, null),
    ),
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

function cellWidth({ head, cells }: Column): number {
  return Math.max(head.length, ...cells.map((cell) => cell.length));
}

function tableWidth(columns: readonly Column[]): number {
  return 1 + columns.reduce((sum, column) => sum + cellWidth(column) + CELL_FRAME, 0);
}

/** Leaves columns out and cuts the widest until the table is no wider than `width`. */
function fit(columns: readonly Column[], width: number): Column[] {
  let kept = [...columns];
  while (tableWidth(kept) > width) {
    const droppable = kept
      .filter(({ dropped }) => dropped !== null)
      .toSorted((a, b) => Number(a.dropped) - Number(b.dropped));
    if (droppable.length > 0) {
      kept = kept.filter((column) => column !== droppable[0]);
      continue;
    }
    const widest = kept.toSorted((a, b) => cellWidth(b) - cellWidth(a))[0];
    if (widest === undefined || cellWidth(widest) <= MIN_CELL) break;
    const size = cellWidth(widest) - 1;
    widest.head = cut(widest.head, size);
    widest.cells = widest.cells.map((cell) => cut(cell, size));
  }
  return kept;
}
