/** All combinations of axes that are not continuous. */
import { type Axis, axisSize, isActive, type Parameters, valueAtIndex, valuesOf } from "./axis.ts";

/**
 * The combinations of a grid, the last field varying fastest; one empty combination without axes. A field that does not
 * apply is absent, so combinations that differ in it alone occur once.
 */
export function* gridPoints(axes: readonly Axis[], point: Parameters = {}): Generator<Parameters> {
  const [axis, ...rest] = axes;
  if (axis === undefined) {
    yield point;
    return;
  }
  if (!isActive(axis, point)) {
    yield* gridPoints(rest, point);
    return;
  }
  for (const value of valuesOf(axis)) yield* gridPoints(rest, { ...point, [axis.path]: value });
}

/** How many combinations there are; Infinity if an axis is continuous. */
export function gridSize(axes: readonly Axis[]): number {
  const decisive = new Set(axes.flatMap(({ when }) => when.map(({ path }) => path)));
  const count = (rest: readonly Axis[], point: Parameters): number => {
    const [axis, ...after] = rest;
    if (axis === undefined) return 1;
    if (!isActive(axis, point)) return count(after, point);
    const size = axisSize(axis);
    // Only where others depend on the value are they counted one by one.
    if (!decisive.has(axis.path) || !Number.isFinite(size)) return size * count(after, point);
    let sum = 0;
    for (let index = 0; index < size; index++) {
      sum += count(after, { ...point, [axis.path]: valueAtIndex(axis, index) });
    }
    return sum;
  };
  return count(axes, {});
}
