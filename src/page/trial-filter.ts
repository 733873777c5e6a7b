/** Which trials of a table are shown, and in which order. */
import type { TrialView } from "../page-data/index.ts";

/** A column of the table; what it sorts by is what its filter compares. */
export interface Column {
  id: string;
  title: string;
  /** The whole name, where the title is short. */
  name: string;
  of(trial: TrialView): string | number | boolean | null | undefined;
}

export interface Order {
  column: string;
  descending: boolean;
}

type Test = (trial: TrialView) => boolean;

/**
 * Reads terms apart by spaces, all of which must hold: `norm=batch`, `val_dice>0.8`, `state=failed`; any other text stands somewhere
 * in the trial's id, state, parameters, node or error.
 */
export function filterOf(text: string, columns: readonly Column[]): Test {
  const tests = text
    .trim()
    .split(/\s+/)
    .filter((term) => term !== "")
    .map((term): Test => {
      const [, name = "", sign = "", wanted = ""] = /^([^<>=]+)([<>]=?|=)(.+)$/.exec(term) ?? [];
      const column = columns.find(({ id, title }) => id === name || title === name);
      return column === undefined ? containing(term.toLowerCase()) : comparing(column, sign, wanted);
    });
  return (trial) => tests.every((test) => test(trial));
}

function containing(term: string): Test {
  return ({ id, state, parameters, nodes, error }) =>
    `${id} ${state} ${Object.entries(parameters).flat().join(" ")} ${nodes.join(" ")} ${error ?? ""}`
      .toLowerCase()
      .includes(term);
}

function comparing(column: Column, sign: string, wanted: string): Test {
  const number = Number(wanted);
  return (trial) => {
    const found = column.of(trial);
    if (found === null || found === undefined) return false;
    if (sign === "=") return String(found) === wanted || (typeof found === "number" && found === number);
    if (typeof found !== "number" || Number.isNaN(number)) return false;
    return sign === "<"
      ? found < number
      : sign === "<="
        ? found <= number
        : sign === ">"
          ? found > number
          : found >= number;
  };
}

/** Numbers within a text count as such: node10 comes behind node9, trial 10000 behind 9999. */
const natural = new Intl.Collator("en", { numeric: true }).compare;

/** Trials without a value come last, whichever the direction; equal ones stay in their order. */
export function sorted(trials: readonly TrialView[], order: Order, columns: readonly Column[]): TrialView[] {
  const column = columns.find(({ id }) => id === order.column);
  if (column === undefined) return [...trials];
  const sign = order.descending ? -1 : 1;
  return trials
    .map((trial) => ({ trial, value: column.of(trial) ?? null }))
    .sort((a, b) => {
      if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
      if (a.value === b.value) return 0;
      if (typeof a.value === "number" && typeof b.value === "number") return sign * (a.value - b.value);
      return sign * natural(String(a.value), String(b.value));
    })
    .map(({ trial }) => trial);
}
