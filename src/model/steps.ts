/** Training and evaluation of a network, each as one traced TensorFlow function. */
import type { Scalar, Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { TrainConfig } from "../config/index.ts";
import { type Compiled, compile, type TensorFlow } from "../tensorflow/index.ts";
import { type LossConfig, lossOf, probabilitiesOf } from "./loss.ts";
import { initialScale, LOSS_SCALE, scaledUpdate } from "./loss-scale.ts";
import { initialSlots, optimize, type Slots } from "./optimizer.ts";
import { type OverlapSums, overlapSums } from "./overlap.ts";
import { initialParameters, parameterCount } from "./parameters.ts";
import { poolOverReplicas, type Share, shareOf } from "./share.ts";
import type { Network } from "./unet.ts";

/** All that training changes, as flat float32 vectors. */
export type ModelState = {
  readonly parameters: Tensor1D;
  readonly statistics: Tensor1D;
  readonly slots: Slots;
};

/** Images [N, X, Y, Z, C], standardised, and truths [N, X, Y, Z, 1]: index of each voxel's class, 0 is the background. */
export type Batch = { readonly images: Tensor5D; readonly truth: Tensor5D };

export type StepInput = {
  readonly state: ModelState;
  readonly batch: Batch;
  readonly learningRate: Scalar;
  /** From 1: how many updates this one makes. */
  readonly step: Scalar;
  /** int32 [2], different for each step, see TrainingPass. */
  readonly seed: Tensor1D;
  /** Of one replica among several. */
  readonly replica?: ReplicaInput;
};

export type ReplicaInput = {
  /** Volumes of this replica's batch over those of all, see Share. */
  readonly weight: Scalar;
  /** Summed over the replicas, so that they agree on it: what the step does not look at, such as whether to stop. */
  readonly said: Tensor1D;
};

/** `dice` is the batch's soft Dice, see Loss; of several replicas, both are over all their batches. */
export type StepOutput = {
  readonly state: ModelState;
  readonly loss: Scalar;
  readonly dice: Scalar;
  /** The sum of what the replicas said. */
  readonly said?: Tensor1D;
};

export type EvaluationInput = {
  readonly parameters: Tensor1D;
  readonly statistics: Tensor1D;
  readonly batch: Batch;
};

export type EvaluationOutput = {
  readonly loss: Scalar;
  readonly overlap: OverlapSums;
};

/** The state before the first step; equal seeds give equal states. The caller disposes of it. */
export function initialState({ tf }: TensorFlow, network: Network, train: TrainConfig): ModelState {
  return {
    parameters: initialParameters(tf, network.parameters, train.seed),
    statistics: initialParameters(tf, network.statistics, train.seed),
    slots: { ...initialSlots(tf, train, parameterCount(network.parameters)), ...initialScale(tf, train) },
  };
}

/**
 * Loss and its gradient with respect to the flat parameters, with the batch's soft Dice and the new moving statistics.
 * @param scale factor of what goes through the backward pass; the results are free of it
 * @param share of one replica among several: then loss, Dice and gradient are its parts, see Loss
 */
export function lossAndGradient(
  runtime: TensorFlow,
  network: Network,
  config: LossConfig,
  state: Pick<ModelState, "parameters" | "statistics">,
  batch: Batch,
  seed: Tensor1D,
  scale?: Scalar,
  share?: Share,
): { loss: Scalar; dice: Scalar; gradient: Tensor1D; statistics: Tensor1D } {
  const { tf } = runtime;
  let beside: { statistics: Tensor1D; dice: Scalar } | undefined;
  const { value, grad } = tf.valueAndGrad((parameters) => {
    const training = { seed, overReplicas: poolOverReplicas(share) };
    const result = network.apply(parameters as Tensor1D, state.statistics, batch.images, training);
    const { loss, dice } = lossOf(runtime, config, result.logits, batch.truth, share);
    // keep: these leave the gradient's scope beside its result.
    beside = { statistics: tf.keep(result.statistics.clone()), dice };
    return scale ? loss.mul<Scalar>(scale) : loss;
  })(state.parameters);
  if (!beside) throw new Error("the network was not applied");
  if (!scale) return { loss: value as Scalar, gradient: grad as Tensor1D, ...beside };
  return { loss: value.div(scale), gradient: grad.div(scale), ...beside };
}

/** The parts of all replicas put together. */
function overAll(
  { tf }: TensorFlow,
  own: ReturnType<typeof lossAndGradient>,
  { sum, weight }: Share,
  { said }: ReplicaInput,
): ReturnType<typeof lossAndGradient> & { said: Tensor1D } {
  const { gradient, statistics, loss, dice } = own;
  const small = [loss.reshape([1]), dice.reshape([1]), said, statistics.mul(weight)] as Tensor1D[];
  const all = sum({ gradient, small: tf.concat1d(small) }, "gradient");
  const after = said.size + 2;
  const result = {
    gradient: all.gradient,
    loss: all.small.slice(0, 1).reshape<Scalar>([]),
    dice: all.small.slice(1, 1).reshape<Scalar>([]),
    said: all.small.slice<Tensor1D>(2, said.size),
    statistics: all.small.slice<Tensor1D>(after, statistics.size),
  };
  // Kept beside the gradient's scope.
  tf.dispose([statistics, dice]);
  return result;
}

/**
 * One optimiser step: forward, loss, backward, update. The caller disposes of the old state and of the results.
 *
 * Replicas of one trial give their batch's weight (`replica`) and make their steps together: the gradient and the moving statistics
 * are sums over all of them, so that states that were equal before the step are equal after it, bit by bit.
 */
export function trainingStep(
  runtime: TensorFlow,
  network: Network,
  train: TrainConfig,
): Compiled<StepInput, StepOutput> {
  return compile(
    runtime,
    { name: "training_step" },
    ({ state, batch, learningRate, step, seed, replica }: StepInput): StepOutput => {
      const share = replica && shareOf(runtime, replica.weight, train.sync);
      const scaling = state.slots[LOSS_SCALE];
      const scale = scaling?.slice<Tensor1D>(0, 1).reshape<Scalar>([]);
      const own = lossAndGradient(runtime, network, train, state, batch, seed, scale, share);
      const { loss, dice, gradient, statistics, ...beside } =
        share && replica ? overAll(runtime, own, share, replica) : own;
      const update = optimize(runtime.tf, train, state.parameters, gradient, state.slots, learningRate, step);
      const moved: ModelState = { ...update, statistics };
      if (!scaling) return { state: moved, loss, dice, ...beside };
      const chosen = scaledUpdate(runtime, state, moved, gradient, scaling);
      // Kept for the case that it is a result itself.
      statistics.dispose();
      return { state: chosen, loss, dice, ...beside };
    },
  );
}

/** Loss and overlap of a batch, without training. */
export function evaluationStep(
  runtime: TensorFlow,
  network: Network,
  config: LossConfig,
): Compiled<EvaluationInput, EvaluationOutput> {
  return compile(
    runtime,
    { name: "evaluation_step" },
    ({ parameters, statistics, batch }: EvaluationInput): EvaluationOutput => {
      const { logits } = network.apply(parameters, statistics, batch.images, null);
      const { loss, dice } = lossOf(runtime, config, logits, batch.truth);
      dice.dispose();
      return {
        loss,
        overlap: overlapSums(runtime.tf, logits, batch.truth),
      };
    },
  );
}

export type PredictionInput = {
  readonly parameters: Tensor1D;
  readonly statistics: Tensor1D;
  readonly images: Tensor5D;
};

/** Probabilities [N, X, Y, Z, outputs] of images: of the foreground where there is one output, else of each class. */
export function predictionStep(runtime: TensorFlow, network: Network): Compiled<PredictionInput, Tensor5D> {
  return compile(
    runtime,
    { name: "prediction_step" },
    ({ parameters, statistics, images }: PredictionInput): Tensor5D =>
      probabilitiesOf(runtime, network.apply(parameters, statistics, images, null).logits),
  );
}
