/** Dice's coefficient as measure. */
import type { Tensor2D, Tensor4D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { Tfjs } from "../tensorflow/index.ts";

/** Sums from which the Dice of each volume and foreground class of a batch follows, see {@link diceOfSums}. */
export type OverlapSums = {
  readonly common: Tensor2D;
  readonly predicted: Tensor2D;
  readonly true: Tensor2D;
  /** Class of each voxel that they were counted by, [N, X, Y, Z]; it is there anyway. */
  readonly chosen: Tensor4D;
};

/**
 * Voxel counts [N, F] of the prediction, of the truth, and of both together, for each of the F foreground classes.
 * @param logits [N, X, Y, Z, K]: with K = 1 the prediction is where the logit is above 0 (the probability above 0.5), else
 *   the class of the largest logit
 * @param truth [N, X, Y, Z, 1]: index of the class, 0 is the background
 */
export function overlapSums(tf: Tfjs, logits: Tensor5D, truth: Tensor5D): OverlapSums {
  const [n, x, y, z, outputs] = logits.shape;
  const foreground = Math.max(1, outputs - 1);
  const shape: [number, number, number, number] = [n, x, y, z];
  const given = truth.reshape(shape);
  const chosen =
    outputs === 1 ? logits.greater(0).toFloat().reshape<Tensor4D>(shape) : logits.argMax<Tensor4D>(4).toFloat();
  const perClass = Array.from({ length: foreground }, (_, index) => {
    const predicted = chosen.equal(index + 1).toFloat();
    const really = given.equal(index + 1).toFloat();
    return { common: predicted.mul(really), predicted, true: really };
  });
  const sums = (key: "common" | "predicted" | "true") =>
    tf.stack(
      perClass.map((masks) => masks[key].sum([1, 2, 3])),
      1,
    ) as Tensor2D;
  return { common: sums("common"), predicted: sums("predicted"), true: sums("true"), chosen };
}

/** Dice of one volume; 1 where both masks are empty. */
export function diceOfSums(common: number, predicted: number, truth: number): number {
  return predicted + truth === 0 ? 1 : (2 * common) / (predicted + truth);
}
