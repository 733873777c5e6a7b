/** How one experiment differs from another, for the run that is refused because of it. */
import { shown } from "./describe.ts";
import { isPlainObject } from "./problems.ts";

export interface Difference {
  path: string;
  before: unknown;
  after: unknown;
}

/** The fields whose values differ, in the order of `before`, then what only `after` has. */
export function differences(before: unknown, after: unknown, path = ""): Difference[] {
  if (isPlainObject(before) && isPlainObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => differences(before[key], after[key], path === "" ? key : `${path}.${key}`));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}

/** One line: `train.epochs: 20 before, 30 now`. */
export function describeDifference({ path, before, after }: Difference): string {
  return `${path}: ${shown(before)} before, ${shown(after)} now`;
}
