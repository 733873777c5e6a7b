/**
 * Dynamic loss scaling for float16 (Micikevicius et al. 2018, as Keras's LossScaleOptimizer): the backward pass works on the
 * gradient times a scale, so that its small values don't vanish. A step whose gradient is not finite changes nothing and
 * halves the scale, many finite ones in a row double it.
 */
import type { Scalar, Tensor1D } from "@tensorflow/tfjs-node-gpu";
import type { TrainConfig } from "../config/index.ts";
import type { TensorFlow, Tfjs } from "../tensorflow/index.ts";
import type { Slots } from "./optimizer.ts";
import type { ModelState } from "./steps.ts";

/** Name of the slot beside the optimiser's: float32 [2], the scale and how many steps in a row were finite. */
export const LOSS_SCALE = "loss_scale";

const FIRST = 2 ** 15;
const LARGEST = 2 ** 24;
/** Finite steps until the scale doubles. */
export const GROWTH_STEPS = 2000;

/** The slot as it was stored, or else as at the beginning; none but for float16. The caller disposes of it. */
export function initialScale(tf: Tfjs, { precision }: Pick<TrainConfig, "precision">, stored?: Float32Array): Slots {
  return precision === "float16" ? { [LOSS_SCALE]: tf.tensor1d(stored ?? [FIRST, 0], "float32") } : {};
}

/**
 * `after` where the gradient is finite, else `before`; with the new scale in either case. A step that changes nothing counts in
 * Adam's bias correction all the same.
 * @param scaling the slot as it was in this step
 */
export function scaledUpdate(
  { tf, rawOp }: TensorFlow,
  before: ModelState,
  after: ModelState,
  gradient: Tensor1D,
  scaling: Tensor1D,
): ModelState {
  const finite = tf.all<Scalar>(tf.isFinite(gradient));
  const choose = (yes: Tensor1D, no: Tensor1D): Tensor1D =>
    rawOp("SelectV2", [finite, yes, no], { T: { type: "type", value: "float32" } })[0] as Tensor1D;
  const [scale, count] = [scaling.slice<Tensor1D>(0, 1), scaling.slice<Tensor1D>(1, 1).add<Tensor1D>(1)];
  const due = count.greaterEqual<Tensor1D>(GROWTH_STEPS).toFloat<Tensor1D>();
  const grown = scale.mul<Tensor1D>(due.add(1)).minimum<Tensor1D>(LARGEST);
  const next = choose(grown, scale.mul<Tensor1D>(0.5).maximum<Tensor1D>(1));
  const nextCount = choose(count.mul<Tensor1D>(tf.sub(1, due)), tf.zeros([1]));
  const slots = Object.entries(after.slots).map(([name, slot]) => [name, choose(slot, before.slots[name] as Tensor1D)]);
  return {
    parameters: choose(after.parameters, before.parameters),
    statistics: choose(after.statistics, before.statistics),
    slots: { ...Object.fromEntries(slots), [LOSS_SCALE]: tf.concat1d([next, nextCount]) },
  };
}
