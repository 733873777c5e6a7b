/** Adam (Kingma and Ba 2015), optionally AMSGrad (Reddi et al. 2018), as Keras computes it, on flat vectors. */
import type { Scalar, Tensor1D } from "@tensorflow/tfjs-node-gpu";
import type { TrainConfig } from "../config/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";

/** The moments; `largest` (AMSGrad's) is an empty vector without AMSGrad. */
export type AdamSlots = {
  readonly first: Tensor1D;
  readonly second: Tensor1D;
  readonly largest: Tensor1D;
};

export interface AdamUpdate {
  parameters: Tensor1D;
  slots: AdamSlots;
}

/** Slots at the beginning: zeros. The caller disposes of them. */
export function adamSlots(tf: Tfjs, count: number, amsgrad: boolean): AdamSlots {
  const zeros = (size: number) => tf.zeros([size]) as Tensor1D;
  return {
    first: zeros(count),
    second: zeros(count),
    largest: zeros(amsgrad ? count : 0),
  };
}

/**
 * One update.
 * @param step how many updates there were before, plus 1.
 */
export function adam(
  tf: Tfjs,
  config: Pick<TrainConfig, "beta1" | "beta2" | "epsilon" | "amsgrad">,
  parameters: Tensor1D,
  gradient: Tensor1D,
  slots: AdamSlots,
  learningRate: Scalar,
  step: Scalar,
): AdamUpdate {
  const { beta1, beta2, epsilon, amsgrad } = config;
  const first = slots.first.mul(beta1).add(gradient.mul(1 - beta1)) as Tensor1D;
  const second = slots.second.mul(beta2).add(gradient.square().mul(1 - beta2)) as Tensor1D;
  const largest = amsgrad ? (tf.maximum(slots.largest, second) as Tensor1D) : slots.largest;
  const correction = tf
    .sub(1, tf.pow(beta2, step))
    .sqrt()
    .div(tf.sub(1, tf.pow(beta1, step)));
  const rate = learningRate.mul(correction);
  const scale = (amsgrad ? largest : second).sqrt().add(epsilon);
  return {
    parameters: parameters.sub(first.mul(rate).div(scale)) as Tensor1D,
    slots: { first, second, largest },
  };
}
