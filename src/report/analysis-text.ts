/** What runs have come to, for the terminal. */
import type { Comparison, Importance, Marginal, RunAnalysis } from "../analysis/index.ts";
import { type Column, columnTable } from "./columns.ts";
import { cut, formatMetric, formatSeconds, formatValue, printable, shortNames } from "./format.ts";
import { bestTrialLine, resultsTable, type TableOptions } from "./table.ts";

const SECONDS_AN_HOUR = 3600;
const BAR = 20;
/** A value of an experiment is shown up to here: lists and sections are long. */
const MOST_VALUE = 40;

/** The trials of one run, and what follows from them; no newline at the end. @param importance null: not asked for */
export function analysisText(analysis: RunAnalysis, importance: Importance | null, options: TableOptions): string {
  const { trials, marginals, metric, best } = analysis;
  const lines = [runLine(analysis)];
  if (trials.length > 0) lines.push(resultsTable(analysis, options));
  if (importance !== null && trials.length > 0) lines.push(...importanceLines(importance, metric));
  if (marginals.length > 0) {
    lines.push(`${metric} of completed trials by value:`, marginalTable(marginals, options.width));
  }
  lines.push(bestTrialLine(analysis) ?? `best trial: none has a value of ${metric}`);
  if (best !== null) lines.push(`its folder: ${best.dir}`);
  return lines.join("\n");
}

/** What a run is, how it stands and what it took, on one line. */
export function runLine(analysis: RunAnalysis): string {
  const { name, state, limit, counts, trials, wallSeconds } = analysis;
  const states = Object.entries(counts).flatMap(([each, count]) => (count > 0 ? [`${count} ${each}`] : []));
  const all = `${trials.length} ${trials.length === 1 ? "trial" : "trials"}`;
  const ended = limit === null ? state : `${state}, ${limit}`;
  return `run ${name}: ${[ended, `${all}${states.length > 0 ? ` (${states.join(", ")})` : ""}`, `${formatSeconds(wallSeconds)} of wall time`, `${gpuHours(analysis)} GPU hours`].join("; ")}`;
}

function gpuHours({ gpuSeconds }: RunAnalysis): string {
  const hours = gpuSeconds / SECONDS_AN_HOUR;
  return hours === 0 ? "0" : hours.toFixed(hours < 0.1 ? 4 : 2);
}

function importanceLines({ shares, trials, best, missing }: Importance, metric: string): string[] {
  if (shares === null) return [`importance of parameters: ${missing}`];
  const names = shortNames(shares.map(({ parameter }) => parameter));
  const width = Math.max(...[...names.values()].map((name) => name.length));
  return [
    `importance for ${metric}, from ${trials} completed trials (what tells the best ${best} from the rest, PED-ANOVA):`,
    ...shares.map(({ parameter, share }) => {
      const bar = "█".repeat(Math.round(share * BAR));
      const percent = `${(share * 100).toFixed(1)} %`;
      return `  ${(names.get(parameter) ?? parameter).padEnd(width)} ${percent.padStart(7)} ${bar}`.trimEnd();
    }),
  ];
}

function marginalTable(marginals: readonly Marginal[], width: number): string {
  const names = shortNames(marginals.map(({ parameter }) => parameter));
  const rows = marginals.flatMap(({ parameter, values }) =>
    values.map((each, index) => ({ ...each, name: index === 0 ? (names.get(parameter) ?? parameter) : "" })),
  );
  const column = (head: string, right: boolean, cell: (row: (typeof rows)[number]) => string): Column => ({
    head,
    cells: rows.map((row) => printable(cell(row))),
    right,
    dropped: null,
  });
  return columnTable(
    [
      column("parameter", false, ({ name }) => name),
      column("value", true, ({ value }) => formatValue(value)),
      column("trials", true, ({ trials }) => String(trials)),
      column("mean", true, ({ mean }) => formatMetric(mean)),
      column("best", true, ({ best }) => formatMetric(best)),
    ],
    width,
  );
}

/** Runs beside each other: best trials, and where the experiments differ; no newline at the end. */
export function comparisonText(
  runs: readonly RunAnalysis[],
  { common, comparable, differences }: Comparison,
  { width }: TableOptions,
): string {
  const parameters = [...new Set(runs.flatMap(({ best }) => Object.keys(best?.parameters ?? {})))];
  const names = shortNames(parameters);
  const labels = runLabels(runs);
  const columns = columnsFor(runs);
  const lines = [
    columnTable(
      [
        columns("run", (_, index) => labels[index] ?? "", { right: false }),
        columns("state", ({ state }) => state, { right: false, dropped: 2 }),
        columns("ended", ({ counts, trials }) => `${trials.length - counts.running - counts.waiting}/${trials.length}`),
        columns("best trial", ({ best }) => best?.trial ?? "-", { dropped: 3 }),
        columns(comparable ? `best ${runs[0]?.metric}` : "best value", ({ best }) => formatMetric(best?.best?.value)),
        ...(comparable ? [] : [columns("metric", ({ metric, mode }) => `${metric} (${mode})`, { right: false })]),
        ...parameters.map((path) => ({
          ...columns(names.get(path) ?? path, ({ best }) => formatValue(best?.parameters[path])),
          last: true,
        })),
        columns("wall time", ({ wallSeconds }) => formatSeconds(wallSeconds), { dropped: 1 }),
        columns("GPU hours", gpuHours, { dropped: 0 }),
      ],
      width,
    ),
  ];
  if (!comparable) lines.push("the runs rank their trials by different metrics: their best values are not of one kind");
  else {
    const ranked = runs.filter(({ best }) => best !== null).toSorted(byBest);
    const [first] = ranked;
    if (first?.best?.best != null)
      lines.push(
        `best of all: trial ${first.best.trial} of ${labels[runs.indexOf(first)]}, ${first.metric} ${formatMetric(first.best.best.value)}`,
      );
  }
  lines.push(
    common.length > 0 ? `searched in all of them: ${common.join(", ")}` : "no parameter was searched in all of them",
  );
  if (differences.length > 0) {
    const shown = (value: unknown): string =>
      value === undefined ? "-" : cut(printable(typeof value === "string" ? value : JSON.stringify(value)), MOST_VALUE);
    const cells = (index: number): string[] => differences.map(({ values }) => shown(values[index]));
    const field = { head: "field", cells: differences.map((each) => each.field), right: false, dropped: null };
    const each = labels.map((head, index) => ({ head, cells: cells(index), right: true, dropped: null }));
    lines.push("where the experiments differ:", columnTable([field, ...each], width));
  }
  return lines.join("\n");
}

function byBest(a: RunAnalysis, b: RunAnalysis): number {
  const difference = (a.best?.best?.value ?? 0) - (b.best?.best?.value ?? 0);
  return a.mode === "max" ? -difference : difference;
}

type Options = { right?: boolean; dropped?: number };

function columnsFor(runs: readonly RunAnalysis[]) {
  return (head: string, cell: (run: RunAnalysis, index: number) => string, options: Options = {}): Column => ({
    head,
    cells: runs.map((run, index) => printable(cell(run, index))),
    right: options.right ?? true,
    dropped: options.dropped ?? null,
  });
}

/** The last parts of their paths, as many as it takes to tell them apart. */
function runLabels(runs: readonly RunAnalysis[]): string[] {
  const parts = runs.map(({ runDir }) => runDir.split("/").filter((part) => part !== ""));
  for (let count = 1; ; count++) {
    const labels = parts.map((each) => each.slice(-count).join("/"));
    if (new Set(labels).size === labels.length || parts.every((each) => each.length <= count)) return labels;
  }
}
