/** What grid and random search have in common. */
import type { Parameters } from "../config/index.ts";

/** Parameters of the trial of this number, from 1, none of `covered`; null when all points are covered. */
export type Draws = (number: number, covered: ReadonlySet<string>) => Parameters | null;

/** Two points of a space are the same if their keys are. */
export function keyOf(point: Parameters): string {
  return JSON.stringify(point);
}
