import { DistmisError } from "../errors/index.ts";
import { type Geometry, planGrid } from "./geometry.ts";
import { classValues, type Preprocessing } from "./recipe.ts";
import { inverse, turnVolume } from "./reorient.ts";
import { resizeLinear } from "./resize.ts";
import { moveFirstAxisFirst } from "./transpose.ts";

export interface Restored {
  /**
   * X, Y, Z of the file, x running fastest. Binary: 1 where the probability exceeds 0.5, else 0. Multi-class: the value (as in label
   * files) of the most probable class, the lowest of equals. uint8, or uint16 where a class exceeds 255.
   */
  segmentation: Uint8Array | Uint16Array;
  /** What it was decided by, x running fastest: X, Y, Z of a binary recipe, else X, Y, Z, K in the order of {@link classValues}. */
  probabilities: Float32Array | null;
}

/**
 * Undoes the preprocessing for a network's output: probabilities on a volume's grid (see imageOnGrid), (X, Y, Z) with z running
 * fastest of a binary recipe, else (X, Y, Z, K) with K running fastest, become a segmentation of the voxels of its file. Each
 * class's probabilities are resized trilinearly, in one step; slices that were cut off are background.
 *
 * @param keep return the probabilities as well
 * @throws DistmisError DATA_INVALID where sizes disagree
 */
export function restoreSegmentation(
  probabilities: Float32Array,
  source: Geometry,
  recipe: Preprocessing,
  keep = false,
): Restored {
  if (recipe.labels.mode === "binary") {
    const native = restoreProbabilities(probabilities, source, recipe);
    const segmentation = new Uint8Array(native.length);
    for (let voxel = 0; voxel < native.length; voxel++) segmentation[voxel] = (native[voxel] ?? 0) > 0.5 ? 1 : 0;
    return { segmentation, probabilities: keep ? native : null };
  }
  const values = classValues(recipe);
  const [x = 1, y = 1, z = 1] = source.shape;
  const size = x * y * z;
  const segmentation = Math.max(...values) > 255 ? new Uint16Array(size) : new Uint8Array(size);
  const kept = keep ? new Float32Array(size * values.length) : null;
  const highest = new Float32Array(size);
  for (const [place, value] of values.entries()) {
    const single = classOf(probabilities, place, values.length);
    const native = restoreProbabilities(single, source, recipe, value === 0 ? 1 : 0);
    kept?.set(native, place * size);
    for (let voxel = 0; voxel < size; voxel++) {
      const probability = native[voxel] ?? 0;
      if (probability <= (highest[voxel] ?? 0)) continue;
      highest[voxel] = probability;
      segmentation[voxel] = value;
    }
  }
  return { segmentation, probabilities: kept };
}

/**
 * One class's probabilities (X, Y, Z) on a volume's grid, z running fastest, on the voxels of its file, x running fastest.
 *
 * @param outside probability of the slices that were cut off
 * @throws DistmisError DATA_INVALID where sizes disagree
 */
export function restoreProbabilities(
  probabilities: Float32Array,
  source: Geometry,
  recipe: Preprocessing,
  outside = 0,
): Float32Array {
  const { shape, cut, turned, turn, start } = planGrid(source, recipe);
  if (probabilities.length !== shape[0] * shape[1] * shape[2]) {
    throw new DistmisError(
      "DATA_INVALID",
      `${source.path}: a prediction of ${probabilities.length} voxels, expected ${shape.join(" x ")}`,
    );
  }
  let values = resizeLinear(moveFirstAxisFirst(probabilities, shape), shape, cut);
  if (cut[2] !== turned[2]) {
    const slice = cut[0] * cut[1];
    const all = new Float32Array(slice * turned[2]).fill(outside);
    all.set(values, start * slice);
    values = all;
  }
  return turnVolume(values, turned, inverse(turn));
}

function classOf(probabilities: Float32Array, place: number, classes: number): Float32Array {
  const voxels = probabilities.length / classes;
  if (!Number.isInteger(voxels)) {
    throw new DistmisError(
      "DATA_INVALID",
      `a prediction of ${probabilities.length} values can't be divided among ${classes} classes`,
    );
  }
  const single = new Float32Array(voxels);
  for (let voxel = 0, at = place; voxel < voxels; voxel++, at += classes) single[voxel] = probabilities[at] ?? 0;
  return single;
}
