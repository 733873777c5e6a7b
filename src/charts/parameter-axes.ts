/** The axes of parallel coordinates: the searched fields, then the metric. */
import type { TrialView } from "../page-data/index.ts";

export interface ParameterAxis {
  path: string;
  kind: "number" | "log" | "category";
  /** Of a category: its values as text, in their order. */
  values: string[];
}

/** With a ratio of the largest to the smallest above this, a linear axis hides most of the values. */
const LOG_RATIO = 50;
const MOST_STEPS = 12;

export function axisOf(path: string, trials: readonly TrialView[]): ParameterAxis {
  const values = trials.flatMap(({ parameters }) => parameters[path] ?? []);
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length < values.length || values.length === 0) return category(path, values.map(String).sort());
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  // A few steps stand apart evenly, whatever their size; values that hardly occur twice are drawn from a range.
  if (distinct.length <= MOST_STEPS && 2 * distinct.length <= numbers.length) return category(path, distinct);
  const [low = 0, high = 0] = [distinct[0], distinct.at(-1)];
  return { path, kind: low > 0 && high / low > LOG_RATIO ? "log" : "number", values: [] };
}

function category(path: string, values: readonly unknown[]): ParameterAxis {
  return { path, kind: "category", values: [...new Set(values.map(String))] };
}

/** Null where the trial has no such parameter. */
export function onAxis({ path, kind }: ParameterAxis, { parameters }: TrialView): number | string | null {
  const value = parameters[path];
  if (value === undefined) return null;
  return kind === "category" ? String(value) : Number(value);
}

/** From the worst (0) to the best (1), by rank: a few bad trials must not make all others look alike. */
export function ranks(values: readonly number[], mode: "max" | "min"): number[] {
  const order = values.map((_, index) => index).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const rank = new Array<number>(values.length).fill(0);
  for (const [place, index] of order.entries()) {
    const share = values.length < 2 ? 1 : place / (values.length - 1);
    rank[index] = mode === "max" ? share : 1 - share;
  }
  return rank;
}
