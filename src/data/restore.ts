import { DistmisError } from "../errors/index.ts";
import { classValues, type Preprocessing, shapeAfterCut } from "./recipe.ts";
import { resizeLinear } from "./resize.ts";
import { moveFirstAxisFirst } from "./transpose.ts";

/**
 * Undoes the preprocessing for a network's output: probabilities (X, Y, Z) in the recipe's shape, z running fastest, become
 * probabilities on the source's grid, x running fastest as in NIfTI. Resized trilinearly; slices that were cut off are 0.
 *
 * @param nativeShape the source volume's shape; axes behind the third are ignored.
 */
export function restoreProbabilities(
  probabilities: Float32Array,
  nativeShape: readonly number[],
  recipe: Preprocessing,
): Float32Array {
  const [nx, ny, nz] = recipe.shape;
  if (probabilities.length !== nx * ny * nz) {
    throw new DistmisError(
      "DATA_INVALID",
      `a prediction of ${probabilities.length} voxels, expected ${recipe.shape.join(" x ")}`,
    );
  }
  const [x = 1, y = 1, z = 1] = nativeShape;
  const inner = shapeAfterCut(nativeShape, recipe.cut);
  const resized = resizeLinear(moveFirstAxisFirst(probabilities, recipe.shape), recipe.shape, inner);
  if (inner[2] === z) return resized;
  const native = new Float32Array(x * y * z);
  native.set(resized, (recipe.cut?.start ?? 0) * x * y);
  return native;
}

/**
 * {@link restoreProbabilities}, then 1 where the probability exceeds `threshold`, else 0: a mask on the source's grid, x
 * running fastest, ready for writeNifti. A mask of 0 and 1 in the network's shape may be given as well.
 */
export function restoreLabel(
  probabilities: Float32Array,
  nativeShape: readonly number[],
  recipe: Preprocessing,
  threshold = 0.5,
): Uint8Array {
  const native = restoreProbabilities(probabilities, nativeShape, recipe);
  const mask = new Uint8Array(native.length);
  for (let index = 0; index < mask.length; index++) mask[index] = (native[index] ?? 0) > threshold ? 1 : 0;
  return mask;
}

/**
 * Probabilities of a multi-class network (X, Y, Z, K) in the recipe's shape, K running fastest, to a segmentation on the source's
 * grid, x running fastest: each class's probabilities are resized trilinearly, and a voxel gets the value (as in label files) of
 * the most probable class, the lowest of equals. Slices that were cut off are background.
 *
 * @returns uint8, or uint16 where a class exceeds 255
 * @throws DistmisError DATA_INVALID where sizes disagree
 */
export function restoreClasses(
  probabilities: Float32Array,
  nativeShape: readonly number[],
  recipe: Preprocessing,
): Uint8Array | Uint16Array {
  const values = classValues(recipe);
  const voxels = probabilities.length / values.length;
  if (!Number.isInteger(voxels)) {
    throw new DistmisError(
      "DATA_INVALID",
      `a prediction of ${probabilities.length} values can't be divided among ${values.length} classes`,
    );
  }
  const [x = 1, y = 1, z = 1] = nativeShape;
  const size = x * y * z;
  const segmentation = Math.max(...values) > 255 ? new Uint16Array(size) : new Uint8Array(size);
  const highest = new Float32Array(size);
  const single = new Float32Array(voxels);
  for (const [place, value] of values.entries()) {
    for (let voxel = 0, at = place; voxel < voxels; voxel++, at += values.length)
      single[voxel] = probabilities[at] ?? 0;
    const native = restoreProbabilities(single, nativeShape, recipe);
    for (let voxel = 0; voxel < size; voxel++) {
      const probability = native[voxel] ?? 0;
      if (probability <= (highest[voxel] ?? 0)) continue;
      highest[voxel] = probability;
      segmentation[voxel] = value;
    }
  }
  return segmentation;
}
