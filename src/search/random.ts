/** Seeded random points of the search space. */
import { createHash } from "node:crypto";
import {
  type Axis,
  axisSize,
  gridPoints,
  isActive,
  type Parameters,
  type ParameterValue,
  valueAtIndex,
} from "../config/index.ts";
import { type Draws, keyOf } from "./draws.ts";

/** How often a point that another trial had is drawn again before those that are left are listed. */
const MAX_REDRAWS = 100;

/**
 * The value of an axis follows from seed, number of the trial and path alone, so that it is the same in a run that goes on, and
 * whatever other axes there are. Only where a trial had the point before, as in a small space, it is drawn again.
 */
export function randomDraws(axes: readonly Axis[], seed: number): Draws {
  return (number, covered) => {
    for (let redraw = 0; redraw < MAX_REDRAWS; redraw++) {
      const point = draw(axes, (path) => uniform(`${seed}/${number}/${redraw}/${path}`));
      if (!covered.has(keyOf(point))) return point;
    }
    const left = [...gridPoints(axes)].filter((point) => !covered.has(keyOf(point)));
    return left[Math.floor(uniform(`${seed}/${number}`) * left.length)] ?? null;
  };
}

function draw(axes: readonly Axis[], random: (path: string) => number): Parameters {
  const point: Parameters = {};
  for (const axis of axes) if (isActive(axis, point)) point[axis.path] = valueAt(axis, random(axis.path));
  return point;
}

/** @param share in [0, 1): which part of the axis lies below the value */
function valueAt(axis: Axis, share: number): ParameterValue {
  if (axis.kind !== "categorical" && axis.log) return logarithmic(axis, share);
  if (axis.kind === "float" && axis.step === null) {
    const width = axis.high - axis.low;
    return within(axis, rounded(axis.low + share * width, width));
  }
  return valueAtIndex(axis, Math.floor(share * axisSize(axis)));
}

function logarithmic({ kind, low, high }: Extract<Axis, { log: boolean }>, share: number): number {
  // Each whole number has the width of its rounding.
  const margin = kind === "integer" ? 0.5 : 0;
  const [from, to] = [Math.log(low - margin), Math.log(high + margin)];
  const value = Math.exp(from + share * (to - from));
  return within({ low, high }, kind === "integer" ? Math.round(value) : rounded(value, value));
}

/** What a person can type again: to a millionth of `scale`. */
function rounded(value: number, scale: number): number {
  const digits = 6 - Math.floor(Math.log10(scale));
  return Number(value.toFixed(Math.min(100, Math.max(0, digits))));
}

function within({ low, high }: { low: number; high: number }, value: number): number {
  return Math.min(high, Math.max(low, value));
}

const HASH_BYTES = 6;

/** In [0, 1), of 48 bits that hang on every character of the text. */
function uniform(text: string): number {
  return createHash("sha256").update(text).digest().readUIntBE(0, HASH_BYTES) / 2 ** (8 * HASH_BYTES);
}
