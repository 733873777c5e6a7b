/** A trained model, ready to segment volumes. */
import type { Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { type Preprocessing, preprocessingSchema } from "../data/index.ts";
import { type ModelFacts, type Network, predictionStep, readCheckpoint, unet, weightTensors } from "../model/index.ts";
import type { TensorFlow } from "../tensorflow/index.ts";

export interface Model {
  /** The checkpoint. */
  readonly file: string;
  readonly facts: ModelFacts;
  readonly network: Network;
  readonly parameters: Tensor1D;
  readonly statistics: Tensor1D;
  /** How images become its input; null for a model trained on a data set that DistMIS itself wrote. */
  readonly preprocessing: Preprocessing | null;
  /**
   * Probabilities of a preprocessed image (X, Y, Z, C), C running fastest: (X, Y, Z) of a binary model, Z running fastest, or
   * (X, Y, Z, K) of a multi-class one, K running fastest.
   */
  probabilities(image: Float32Array, shape: readonly [number, number, number, number]): Float32Array;
  dispose(): void;
}

/**
 * Loads a checkpoint.
 * @throws DistmisError FILE_UNUSABLE or DATA_INVALID naming the file.
 */
export async function loadModel(runtime: TensorFlow, file: string): Promise<Model> {
  const { tf } = runtime;
  const { stored, facts, network } = await readCheckpoint(file, ({ model, channels, outputs }) =>
    unet(runtime, model, channels, outputs),
  );
  const { parameters, statistics } = weightTensors(tf, stored);
  const step = predictionStep(runtime, network);
  return {
    file,
    facts,
    network,
    parameters,
    statistics,
    preprocessing: facts.preprocessing === null ? null : preprocessingSchema.parse(facts.preprocessing),
    probabilities: (image, shape) => {
      const images = tf.tensor5d(image, [1, ...shape], "float32") as Tensor5D;
      const result = step({ parameters, statistics, images });
      const values = Float32Array.from(result.dataSync());
      tf.dispose([images, result]);
      return values;
    },
    dispose: () => {
      tf.dispose([parameters, statistics]);
      step.dispose();
    },
  };
}
