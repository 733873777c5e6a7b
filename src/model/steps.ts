/** Training and evaluation of a network, each as one traced TensorFlow function. */
import type { Scalar, Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { TrainConfig } from "../config/index.ts";
import { type Compiled, compile, type TensorFlow } from "../tensorflow/index.ts";
import { type AdamSlots, adam, adamSlots } from "./adam.ts";
import { diceLoss, type OverlapSums, overlapSums } from "./dice.ts";
import { initialParameters, parameterCount } from "./parameters.ts";
import type { Network } from "./unet.ts";

/** All that training changes, as flat float32 vectors. */
export type ModelState = {
  readonly parameters: Tensor1D;
  readonly statistics: Tensor1D;
  readonly slots: AdamSlots;
};

/** Images [N, X, Y, Z, C], standardised, and truths [N, X, Y, Z, 1] in {0, 1}. */
export type Batch = { readonly images: Tensor5D; readonly truth: Tensor5D };

export type StepInput = {
  readonly state: ModelState;
  readonly batch: Batch;
  readonly learningRate: Scalar;
  /** From 1: how many updates this one makes. */
  readonly step: Scalar;
  /** int32 [2], different for each step, see TrainingPass. */
  readonly seed: Tensor1D;
};

export type StepOutput = { readonly state: ModelState; readonly loss: Scalar };

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
    slots: adamSlots(tf, parameterCount(network.parameters), train.amsgrad),
  };
}

/** Loss and its gradient with respect to the flat parameters, with the new moving statistics. */
export function lossAndGradient(
  { tf }: TensorFlow,
  network: Network,
  state: Pick<ModelState, "parameters" | "statistics">,
  batch: Batch,
  seed: Tensor1D,
): { loss: Scalar; gradient: Tensor1D; statistics: Tensor1D } {
  let statistics: Tensor1D | undefined;
  const { value, grad } = tf.valueAndGrad((parameters) => {
    const result = network.apply(parameters as Tensor1D, state.statistics, batch.images, { seed });
    // keep: the statistics leave the gradient's scope beside its result.
    statistics = tf.keep(result.statistics.clone());
    return diceLoss(tf, tf.sigmoid(result.logits), batch.truth);
  })(state.parameters);
  if (!statistics) throw new Error("the network was not applied");
  return { loss: value as Scalar, gradient: grad as Tensor1D, statistics };
}

/** One optimiser step: forward, loss, backward, Adam. The caller disposes of the old state and of the results. */
export function trainingStep(
  runtime: TensorFlow,
  network: Network,
  train: TrainConfig,
): Compiled<StepInput, StepOutput> {
  return compile(
    runtime,
    { name: "training_step" },
    ({ state, batch, learningRate, step, seed }: StepInput): StepOutput => {
      const { loss, gradient, statistics } = lossAndGradient(runtime, network, state, batch, seed);
      const update = adam(runtime.tf, train, state.parameters, gradient, state.slots, learningRate, step);
      return { state: { ...update, statistics }, loss };
    },
  );
}

/** Loss and overlap of a batch, without training. */
export function evaluationStep(runtime: TensorFlow, network: Network): Compiled<EvaluationInput, EvaluationOutput> {
  return compile(
    runtime,
    { name: "evaluation_step" },
    ({ parameters, statistics, batch }: EvaluationInput): EvaluationOutput => {
      const { logits } = network.apply(parameters, statistics, batch.images, null);
      return {
        loss: diceLoss(runtime.tf, runtime.tf.sigmoid(logits), batch.truth),
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

/** Probabilities of images: [N, X, Y, Z, 1] of a binary network, else [N, X, Y, Z, K] that sum to 1 over the classes. */
export function predictionStep(runtime: TensorFlow, network: Network): Compiled<PredictionInput, Tensor5D> {
  return compile(
    runtime,
    { name: "prediction_step" },
    ({ parameters, statistics, images }: PredictionInput): Tensor5D => {
      const { logits } = network.apply(parameters, statistics, images, null);
      return network.outputs > 1 ? runtime.tf.softmax(logits) : runtime.tf.sigmoid(logits);
    },
  );
}
