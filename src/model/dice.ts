/** Dice's coefficient as loss and as measure. */
import type { Scalar, Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { Tfjs } from "../tensorflow/index.ts";

/** DistMIS's smoothing: the Dice of two empty masks is then 1. */
export const SMOOTHING = 0.01;

/** 1 - soft Dice over the flattened batch, of probabilities and truths [N, X, Y, Z, 1] in [0, 1]. */
export function diceLoss(_tf: Tfjs, probabilities: Tensor5D, truth: Tensor5D): Scalar {
  const common = probabilities.mul(truth).sum();
  const total = probabilities.sum().add(truth.sum());
  return common.mul(2).add(SMOOTHING).div(total.add(SMOOTHING)).neg().add(1) as Scalar;
}

/** Sums from which the Dice of each volume of a batch follows, see {@link diceOfSums}. */
export type OverlapSums = {
  readonly common: Tensor1D;
  readonly predicted: Tensor1D;
  readonly true: Tensor1D;
};

/** Voxel counts [N] of the prediction (logit above 0, so probability above 0.5), of the truth, and of both together. */
export function overlapSums(tf: Tfjs, logits: Tensor5D, truth: Tensor5D): OverlapSums {
  const mask = logits.greater(0).toFloat();
  const perVolume = [1, 2, 3, 4];
  return {
    common: mask.mul(truth).sum(perVolume) as Tensor1D,
    predicted: mask.sum(perVolume) as Tensor1D,
    true: tf.sum(truth, perVolume) as Tensor1D,
  };
}

/** Dice of one volume; 1 where both masks are empty. */
export function diceOfSums(common: number, predicted: number, truth: number): number {
  return predicted + truth === 0 ? 1 : (2 * common) / (predicted + truth);
}
