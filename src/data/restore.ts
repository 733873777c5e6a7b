import { DistmisError } from "../errors/index.ts";
import { type Preprocessing, shapeAfterCut } from "./recipe.ts";
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
