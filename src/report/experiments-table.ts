/** The experiments of a server, for the terminal. */
import Table from "cli-table3";
import type { ExperimentInfo } from "../remote/index.ts";
import { cut, formatMetric, formatSeconds, printable } from "./format.ts";

/** Longer names and metrics are cut. */
const MAX_CELL = 60;

/** One row an experiment, in their order, then why those that failed did; no newline at the end. */
export function experimentsTable(experiments: readonly ExperimentInfo[], now: Date = new Date()): string {
  const table = new Table({
    head: ["run", "state", "for", "trials", "best"],
    colAligns: ["left", "left", "right", "right", "right"],
    style: { head: [], border: [], "padding-left": 1, "padding-right": 1, compact: true },
  });
  for (const { run, state, since, trials, metric, best } of experiments) {
    const { ended, total, running } = trials;
    const done = `${ended}${total === null ? "" : `/${total}`}`;
    table.push([
      cell(run),
      state,
      formatSeconds(Math.max(0, (now.getTime() - Date.parse(since)) / 1000)),
      running === 0 ? done : `${done}, ${running} running`,
      best === null ? "-" : cell(`${metric} ${formatMetric(best)}`),
    ]);
  }
  const failures = experiments.flatMap(({ run, error }) =>
    error === null ? [] : [`run ${cell(run)} failed: ${printable(error)}`],
  );
  return [table.toString(), ...failures].join("\n");
}

function cell(text: string): string {
  return cut(printable(text), MAX_CELL);
}
