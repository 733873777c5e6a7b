/** Voxels that can't be right: refused with their place, or repaired and counted. */
import { DistmisError } from "../errors/index.ts";
import type { VoxelArray } from "../nifti/index.ts";
import { sumOf } from "./moments.ts";
import { classValues, type Preprocessing } from "./recipe.ts";
import type { Shape3 } from "./resize.ts";

export interface Checked {
  /** The input itself where nothing was repaired. */
  values: VoxelArray;
  /** Voxels that were repaired. */
  repaired: number;
}

const LARGEST_FLOAT32 = 3.4028234663852886e38;

/** One modality, X x Y x Z. Errors: DATA_INVALID for voxels that are NaN, infinite or beyond float32, unless they become 0. */
export function checkFinite(
  path: string,
  values: VoxelArray,
  shape: Shape3,
  modality: string,
  repair: Preprocessing["repair"]["nonfinite"],
): Checked {
  // A sum over float32 in float64 can't overflow: it is finite where all values are, and needs no look at each of them.
  if (values instanceof Float32Array && Number.isFinite(sumOf(values))) return { values, repaired: 0 };
  let bad = 0;
  let first = -1;
  for (let index = 0; index < values.length; index++) {
    // False for NaN as well.
    if (Math.abs(values[index] ?? 0) <= LARGEST_FLOAT32) continue;
    if (bad++ === 0) first = index;
  }
  if (bad === 0) return { values, repaired: 0 };
  if (repair === "refuse") {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: ${bad} voxels of ${modality} are not finite, first ${values[first]} at ${position(first, shape)}; repair the image`,
    );
  }
  const fixed = values.slice();
  for (let index = first; index < fixed.length; index++) {
    if (!(Math.abs(fixed[index] ?? 0) <= LARGEST_FLOAT32)) fixed[index] = 0;
  }
  return { values: fixed, repaired: bad };
}

/** A label. Errors: DATA_INVALID for voxels off the integers or outside the recipe's classes that its `repair` doesn't cover. */
export function checkClasses(path: string, values: VoxelArray, shape: Shape3, recipe: Preprocessing): Checked {
  const known = new Set(classValues(recipe));
  const repair = recipe.repair.labels;
  let checked = values;
  let repaired = 0;
  let last = Number.NaN;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0;
    if (value === last) continue;
    if (known.has(value)) {
      last = value;
      continue;
    }
    const better = repair === "round" ? Math.round(value) : 0;
    if (repair === "refuse" || !known.has(better)) {
      const why = Number.isInteger(value)
        ? `not among the classes of dataset.json (${[...known].join(", ")})`
        : repair === "round"
          ? `no class of dataset.json (${[...known].join(", ")}) when it is rounded`
          : "not a whole number";
      throw new DistmisError("DATA_INVALID", `${path}: label ${value} at ${position(index, shape)} is ${why}`);
    }
    if (checked === values) checked = values.slice();
    checked[index] = better;
    repaired++;
  }
  return { values: checked, repaired };
}

function position(index: number, [x, y]: Shape3): string {
  return `(${index % x}, ${Math.floor(index / x) % y}, ${Math.floor(index / (x * y))})`;
}
