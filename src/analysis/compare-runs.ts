/** Several runs beside each other. */
import { differences } from "../config/index.ts";
import type { RunReading } from "../run-folder/index.ts";

export interface Comparison {
  /** Searched in every one of the runs. */
  common: string[];
  /** Whether all runs rank their trials by the same metric, and so can be ranked themselves. */
  comparable: boolean;
  /** Fields in which the experiments differ, the search space aside; a value for each run, in their order. */
  differences: { field: string; values: unknown[] }[];
}

/** Where a run lies and what it is called tells nothing about its results, and spaces are compared by `common`. */
const NOT_COMPARED = /^(name$|search\.(space|warm_start)\b)/;

export function compareRuns(readings: readonly RunReading[]): Comparison {
  const experiments = readings.map(({ experiment }) => experiment);
  const [first] = experiments;
  if (first === undefined) return { common: [], comparable: true, differences: [] };
  const spaces = experiments.map(({ search }) => Object.keys(search.space));
  const byField = new Map<string, unknown[]>();
  for (const [index, experiment] of experiments.entries()) {
    for (const { path, before, after } of differences(first, experiment)) {
      if (NOT_COMPARED.test(path)) continue;
      const values = byField.get(path) ?? experiments.map(() => before);
      values[index] = after;
      byField.set(path, values);
    }
  }
  return {
    common: (spaces[0] ?? []).filter((path) => spaces.every((space) => space.includes(path))),
    comparable: experiments.every(
      ({ search }) => search.metric === first.search.metric && search.mode === first.search.mode,
    ),
    differences: [...byField].map(([field, values]) => ({ field, values })),
  };
}
