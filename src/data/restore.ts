import { DistmisError } from "../errors/index.ts";
import { type Geometry, planGrid } from "./geometry.ts";
import { classValues, type Preprocessing } from "./recipe.ts";
import { inverse, turnVolume } from "./reorient.ts";
import { resizeLinear } from "./resize.ts";
import { moveFirstAxisFirst } from "./transpose.ts";

/**
 * Undoes the preprocessing for a network's output: probabilities (X, Y, Z) on a volume's grid (see imageOnGrid), z running
 * fastest, become probabilities on the voxels of its file, x running fastest as in NIfTI. Resized trilinearly, in one step.
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

/**
 * {@link restoreProbabilities}, then 1 where the probability exceeds `threshold`, else 0: a mask on the source's grid, x
 * running fastest, ready for writeNifti. A mask of 0 and 1 on the recipe's grid may be given as well.
 */
export function restoreLabel(
  probabilities: Float32Array,
  source: Geometry,
  recipe: Preprocessing,
  threshold = 0.5,
): Uint8Array {
  const native = restoreProbabilities(probabilities, source, recipe);
  const mask = new Uint8Array(native.length);
  for (let index = 0; index < mask.length; index++) mask[index] = (native[index] ?? 0) > threshold ? 1 : 0;
  return mask;
}

/**
 * Probabilities of a multi-class network (X, Y, Z, K) on the recipe's grid, K running fastest, to a segmentation on the source's
 * grid, x running fastest: each class's probabilities are resized trilinearly, and a voxel gets the value (as in label files) of
 * the most probable class, the lowest of equals. Slices that were cut off are background.
 *
 * @returns uint8, or uint16 where a class exceeds 255
 * @throws DistmisError DATA_INVALID where sizes disagree
 */
export function restoreClasses(
  probabilities: Float32Array,
  source: Geometry,
  recipe: Preprocessing,
): Uint8Array | Uint16Array {
  const values = classValues(recipe);
  const [x = 1, y = 1, z = 1] = source.shape;
  const size = x * y * z;
  const segmentation = Math.max(...values) > 255 ? new Uint16Array(size) : new Uint8Array(size);
  const highest = new Float32Array(size);
  for (const [place, value] of values.entries()) {
    const native = restoreProbabilities(classOf(probabilities, place, values.length), source, recipe);
    for (let voxel = 0; voxel < size; voxel++) {
      const probability = native[voxel] ?? 0;
      if (probability <= (highest[voxel] ?? 0)) continue;
      highest[voxel] = probability;
      segmentation[voxel] = value;
    }
  }
  return segmentation;
}

/** The probabilities of one class. */
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
