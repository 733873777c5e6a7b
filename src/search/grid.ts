/** All combinations of the search space, in order. */
import { type Axis, gridPoints } from "../config/index.ts";
import { type Draws, keyOf } from "./draws.ts";

export function gridDraws(axes: readonly Axis[]): Draws {
  const points = gridPoints(axes);
  return (_number, covered) => {
    for (;;) {
      const { value } = points.next();
      if (value === undefined) return null;
      if (!covered.has(keyOf(value))) return value;
    }
  };
}
