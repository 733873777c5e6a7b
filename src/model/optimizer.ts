/**
 * The optimisers on flat vectors, each as Keras 3 computes it: Adam (Kingma and Ba 2015), optionally AMSGrad (Reddi et al.
 * 2018), AdamW (Loshchilov and Hutter 2019), and SGD with momentum, optionally Nesterov's.
 */
import type { Scalar, Tensor1D } from "@tensorflow/tfjs-node-gpu";
import type { TrainConfig } from "../config/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";

export type OptimizerConfig = Pick<
  TrainConfig,
  "optimizer" | "beta1" | "beta2" | "epsilon" | "amsgrad" | "weight_decay" | "momentum" | "nesterov" | "clip_norm"
>;

/** What an optimiser remembers between two steps, by name, each as long as the parameters (but see loss-scale.ts). */
export type Slots = { readonly [name: string]: Tensor1D };

export type OptimizerUpdate = { parameters: Tensor1D; slots: Slots };

/** Names of the optimiser's slots. */
export function slotNames({ optimizer, amsgrad }: Pick<TrainConfig, "optimizer" | "amsgrad">): string[] {
  if (optimizer === "sgd") return ["velocity"];
  return amsgrad ? ["first", "second", "largest"] : ["first", "second"];
}

/** Slots at the beginning: zeros. The caller disposes of them. */
export function initialSlots(tf: Tfjs, config: OptimizerConfig, count: number): Slots {
  return Object.fromEntries(slotNames(config).map((name) => [name, tf.zeros([count]) as Tensor1D]));
}

/**
 * One update of the parameters by their gradient, which is clipped first.
 * @param step how many updates there were before, plus 1.
 */
export function optimize(
  tf: Tfjs,
  config: OptimizerConfig,
  parameters: Tensor1D,
  gradient: Tensor1D,
  slots: Slots,
  learningRate: Scalar,
  step: Scalar,
): OptimizerUpdate {
  const slot = (name: string): Tensor1D => {
    const found = slots[name];
    if (!found) throw new Error(`the optimiser ${config.optimizer} has no slot ${name}`);
    return found;
  };
  const clipped = clip(tf, gradient, config.clip_norm);
  if (config.optimizer === "sgd") return sgd(config, parameters, clipped, slot("velocity"), learningRate);
  // Decoupled: the decay does not pass through the moments.
  const decayed =
    config.optimizer === "adamw"
      ? parameters.sub<Tensor1D>(parameters.mul(learningRate.mul(config.weight_decay)))
      : parameters;
  return adam(tf, config, decayed, clipped, slot, learningRate, step);
}

/** The gradient, shortened to this norm where it is longer; 0 leaves it as it is. */
function clip(tf: Tfjs, gradient: Tensor1D, norm: number): Tensor1D {
  if (norm === 0) return gradient;
  const length = gradient.square().sum().sqrt();
  return gradient.mul<Tensor1D>(tf.scalar(norm).div(length.maximum(norm)));
}

function sgd(
  { momentum, nesterov }: OptimizerConfig,
  parameters: Tensor1D,
  gradient: Tensor1D,
  before: Tensor1D,
  learningRate: Scalar,
): OptimizerUpdate {
  const move = gradient.mul<Tensor1D>(learningRate);
  const velocity = before.mul(momentum).sub<Tensor1D>(move);
  const change = nesterov ? velocity.mul(momentum).sub<Tensor1D>(move) : velocity;
  return { parameters: parameters.add<Tensor1D>(change), slots: { velocity } };
}

function adam(
  tf: Tfjs,
  { beta1, beta2, epsilon, amsgrad }: OptimizerConfig,
  parameters: Tensor1D,
  gradient: Tensor1D,
  slot: (name: string) => Tensor1D,
  learningRate: Scalar,
  step: Scalar,
): OptimizerUpdate {
  const first = slot("first")
    .mul(beta1)
    .add<Tensor1D>(gradient.mul(1 - beta1));
  const second = slot("second")
    .mul(beta2)
    .add<Tensor1D>(gradient.square().mul(1 - beta2));
  const largest = amsgrad ? tf.maximum<Tensor1D>(slot("largest"), second) : undefined;
  const correction = tf
    .sub(1, tf.pow(beta2, step))
    .sqrt()
    .div(tf.sub(1, tf.pow(beta1, step)));
  const rate = learningRate.mul(correction);
  const scale = (largest ?? second).sqrt().add(epsilon);
  return {
    parameters: parameters.sub<Tensor1D>(first.mul(rate).div(scale)),
    slots: { first, second, ...(largest && { largest }) },
  };
}
