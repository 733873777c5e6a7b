/** All combinations of the search space, in order. */
import { type Experiment, gridPoints, gridSize, type Parameters } from "../config/index.ts";
import type { Searcher } from "./searcher.ts";

/** @param known how many of the combinations are trials already */
export function gridSearcher(space: Experiment["search"]["space"], known: number): Searcher {
  const points = gridPoints(space);
  let asked = 0;
  const next = (): Parameters | null => {
    const { value } = points.next();
    if (value === undefined) return null;
    asked++;
    return value;
  };
  while (asked < known && next() !== null);
  const size = gridSize(space);
  return {
    remaining: () => size - asked,
    ask: async () => next(),
    report: async () => "continue",
    tell: async () => {},
    close: async () => {},
  };
}
