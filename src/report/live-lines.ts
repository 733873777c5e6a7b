/** The lines of the live view: how the run stands, and the table of trials. */
import { type Column, columnLines } from "./columns.ts";
import { cut, formatMetric, formatParameters, formatSeconds, formatValue, printable, shortNames } from "./format.ts";
import type { RunView, ViewTotals, ViewTrial } from "./run-view.ts";

/** The rows that are left to what scrolls by above. */
const ROWS_ABOVE = 3;
/** A terminal that has fewer is for the view alone. */
const LOW_ROWS = 16;
/** In a terminal that is narrower, names of parameters are cut. */
const WIDE_COLUMNS = 120;
const NARROW_NAME = 8;
const LONGEST_CELL = 16;

/** @param now milliseconds since 1970  @returns at most `rows` - 1 lines, each narrower than `columns` */
export function liveLines(view: RunView, { columns, rows }: { columns: number; rows: number }, now: number): string[] {
  // The last column stays free: some terminals wrap when it is written to.
  const width = columns - 1;
  const totals = view.totals();
  const head = [firstLine(totals, view.secondsLeft(now), now), bestLine(totals), countLine(totals)];
  // The line between what scrolls by and the view is the first one to go where there is no room.
  const between = rows < LOW_ROWS ? [] : [""];
  const trials = view.trials();
  // The table's head, and the count of what is left out.
  const room = Math.max(0, rows - 1 - Math.min(ROWS_ABOVE, Math.floor(rows / 8)) - between.length - head.length - 2);
  const shown = trials.length <= room + 1 ? trials : trials.slice(0, room);
  const table = shown.length === 0 ? [] : columnLines(columnsOf(view, totals, shown, columns, now), width);
  const more = trials.length - shown.length;
  const lines = [...between, ...head.filter((line) => line !== ""), ...table];
  if (more > 0 && shown.length > 0) lines.push(`and ${more} more`);
  return lines.slice(0, Math.max(1, rows - 1)).map((line) => cut(printable(line), width));
}

function firstLine({ name, since }: ViewTotals, left: number | null, now: number): string {
  const time = since === 0 ? "starting" : formatWhole((now - since) / 1000);
  return [name, time, left === null ? "" : `about ${formatWhole(left)} left`].filter((part) => part !== "").join("  ");
}

function bestLine({ best, metric }: ViewTotals): string {
  if (best === null) return "";
  const { trial, value, epoch, parameters } = best;
  return `best ${metric} ${formatMetric(value)} by trial ${trial} at epoch ${epoch}  ${formatParameters(parameters)}`.trimEnd();
}

function countLine({ trials, running, completed, failed, pruned, gpus, busy, room }: ViewTotals): string {
  const waiting = trials === null ? null : Math.max(0, trials - running - completed - failed - pruned);
  const counts = [
    `${completed} done`,
    ...(pruned === 0 ? [] : [`${pruned} pruned`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
    `${running} running`,
    ...(waiting === null ? [] : [`${waiting} waiting`]),
  ];
  const of = trials === null ? "trials" : `of ${trials} ${trials === 1 ? "trial" : "trials"}`;
  const scale = gpus === 0 ? 1 : gpus;
  const what = gpus === 0 ? "places" : "GPUs";
  const busyOf = room === null ? "" : `  ${what} ${short(busy * scale)} of ${short(room * scale)} busy`;
  return `${counts.join(", ")} ${of}${busyOf}`;
}

/** A sum of shares of GPUs. */
function short(count: number): string {
  return String(Number(count.toFixed(2)));
}

function columnsOf(
  view: RunView,
  { metric }: ViewTotals,
  trials: readonly ViewTrial[],
  columns: number,
  now: number,
): Column[] {
  const varied = view.varied();
  const names = shortNames(varied);
  const nameWidth = columns < WIDE_COLUMNS ? NARROW_NAME : LONGEST_CELL;
  const column = (
    head: string,
    cell: (trial: ViewTrial) => string,
    right: boolean,
    dropped: number | null,
  ): Column => ({
    head: cut(printable(head), LONGEST_CELL),
    cells: trials.map((trial) => cut(printable(cell(trial)), LONGEST_CELL)),
    right,
    dropped,
  });
  // What validation measures is measured in training as well, under this name.
  const training = metric.replace(/^val_/, "");
  const hasTraining = training !== metric && trials.some(({ metrics }) => metrics[training] !== undefined);
  const parameters = varied.map((path, at) => ({
    ...column(
      cut(names.get(path) ?? path, nameWidth),
      ({ parameters: of }) => formatValue(of[path]),
      true,
      // The last ones go first.
      varied.length - at,
    ),
  }));
  const after = varied.length + 1;
  return [
    column("trial", ({ trial }) => trial, false, null),
    ...parameters,
    column("epoch", ({ epoch, epochs }) => (epochs === 0 ? "" : `${epoch}/${epochs}`), true, null),
    ...(hasTraining ? [column(training, ({ metrics }) => formatMetric(metrics[training]), true, after + 1)] : []),
    column(metric, ({ metrics }) => formatMetric(metrics[metric]), true, null),
    column("best", ({ best }) => formatMetric(best?.value), true, 0),
    column("time", (trial) => timeOf(trial, now), true, after),
    column("GPU", ({ gpus }) => gpus.join(","), true, after + 2),
    column("node", ({ nodes }) => nodes.join(","), false, after + 3),
    column("state", stateOf, false, null),
  ];
}

function timeOf({ state, since, seconds }: ViewTrial, now: number): string {
  if (state === "waiting") return "";
  return formatWhole(state === "running" ? (now - since) / 1000 : seconds);
}

function stateOf({ state, epoch }: ViewTrial): string {
  return state === "running" && epoch === 0 ? "starting" : state;
}

/** Whole seconds: what changes with each look would be written each time. */
function formatWhole(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : formatSeconds(whole);
}
