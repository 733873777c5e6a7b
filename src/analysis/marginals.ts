/** How trials did by the values of one parameter. */
import type { ParameterValue } from "../config/index.ts";
import type { TrialSummary } from "../run-folder/index.ts";

export interface MarginalValue {
  value: ParameterValue;
  trials: number;
  /** Of the trials' best values of the search's metric. */
  mean: number;
  best: number;
}

export interface Marginal {
  parameter: string;
  /** Numbers by size, others in the order in which the trials had them. */
  values: MarginalValue[];
}

/** With more values, or fewer trials for each, a table of means says nothing. */
const MOST_VALUES = 12;
const LEAST_TRIALS_EACH = 2;

/** The parameters that have few values, over the completed trials; those that do not vary are left out. */
export function marginalsOf(trials: readonly TrialSummary[], mode: "max" | "min"): Marginal[] {
  const ended = trials
    .filter(({ state, best }) => state === "completed" && best !== null)
    .toSorted((a, b) => a.trial.localeCompare(b.trial, "en", { numeric: true }));
  return [...new Set(ended.flatMap(({ parameters }) => Object.keys(parameters)))].flatMap((parameter) => {
    const groups = new Map<ParameterValue, number[]>();
    for (const { parameters, best } of ended) {
      const value = parameters[parameter];
      if (value === undefined || best === null) continue;
      const group = groups.get(value) ?? [];
      group.push(best.value);
      groups.set(value, group);
    }
    const count = [...groups.values()].reduce((sum, group) => sum + group.length, 0);
    if (groups.size < 2 || groups.size > MOST_VALUES || count < LEAST_TRIALS_EACH * groups.size) return [];
    const values = [...groups].map(([value, group]) => ({
      value,
      trials: group.length,
      mean: group.reduce((sum, each) => sum + each, 0) / group.length,
      best: mode === "max" ? Math.max(...group) : Math.min(...group),
    }));
    return [{ parameter, values: values.toSorted(bySize) }];
  });
}

function bySize({ value: a }: MarginalValue, { value: b }: MarginalValue): number {
  return typeof a === "number" && typeof b === "number" ? a - b : 0;
}
