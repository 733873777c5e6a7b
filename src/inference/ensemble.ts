/** Models that vote: one is an ensemble of itself. */
import { isDeepStrictEqual } from "node:util";
import { classValues, type PreprocessedImage, type Preprocessing, type Shape3 } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { Model } from "./model.ts";
import { addProbabilities, countWindows } from "./windows.ts";

export interface WindowOptions {
  /** Share of a window by which neighbours overlap at the least, from 0 to below 1; default 0.5, nnU-Net's. */
  overlap?: number;
  onWindow?: (done: number, total: number) => void;
  /** Looked at between two windows. */
  signal?: AbortSignal;
}

/** At least one model, all with the same input and the same classes. The models stay their owner's to dispose of. */
export interface Ensemble {
  /** Of each of the models. */
  readonly recipe: Preprocessing;
  /**
   * Mean of the models' probabilities of a preprocessed image, of any size: (X, Y, Z) of binary models, z running fastest, or (X, Y, Z, K)
   * of multi-class ones, K running fastest. Each model sees windows of the shape that it was trained on.
   * @throws DistmisError INTERRUPTED when the signal fires
   */
  probabilities(image: Pick<PreprocessedImage, "image" | "shape">, options?: WindowOptions): Promise<Float32Array>;
}

/**
 * Joins models whose images are preprocessed alike.
 * @throws DistmisError DATA_INVALID naming the file of a model without a record of its preprocessing, or whose outputs aren't its
 * classes; naming both where two models differ, and in what.
 */
export function ensemble(models: readonly Model[]): Ensemble {
  const [first, ...others] = models;
  if (!first) throw new DistmisError("USAGE", "--model: name at least one model");
  const recipe = recipeOf(first);
  for (const other of others) {
    const theirs = recipeOf(other);
    const field = (Object.keys(recipe) as (keyof Preprocessing)[]).find(
      (key) => !isDeepStrictEqual(recipe[key], theirs[key]),
    );
    if (field === undefined) continue;
    const show = (value: Preprocessing): string => JSON.stringify(value[field]);
    throw new DistmisError(
      "DATA_INVALID",
      `${first.file} and ${other.file} can't predict together: their preprocessing differs in "${field}": ${show(recipe)} and ${show(theirs)}`,
    );
  }
  return {
    recipe,
    probabilities: async ({ image, shape }, { overlap = 0.5, onWindow, signal } = {}) => {
      const [, x, y, z] = shape;
      const windows = models.map((model) => windowOf(model, recipe));
      const total = windows.reduce((sum, window) => sum + countWindows([x, y, z], window, overlap), 0);
      let done = 0;
      const count = (): void => {
        onWindow?.(++done, total);
        if (signal?.aborted) throw new DistmisError("INTERRUPTED", "stopped by the user");
      };
      const mean = new Float32Array(x * y * z * first.facts.outputs);
      for (const [index, { probabilities }] of models.entries()) {
        const window = windows[index] ?? recipe.shape;
        await addProbabilities(probabilities, { image, shape }, window, overlap, 1 / models.length, mean, count);
      }
      return mean;
    },
  };
}

/** What a step of its training saw: both are divisible by 2^depth, or it couldn't have been trained. */
function windowOf({ facts }: Model, recipe: Preprocessing): Shape3 {
  return facts.train.augmentation?.crop?.shape ?? recipe.shape;
}

function recipeOf({ file, facts, preprocessing }: Model): Preprocessing {
  if (!preprocessing) {
    throw new DistmisError(
      "DATA_INVALID",
      `${file}: was trained on TFRecords without a record of their preprocessing: write them with \`distmis tfrecord\` and train again`,
    );
  }
  const { mode } = preprocessing.labels;
  const expected = mode === "binary" ? 1 : classValues(preprocessing).length;
  if (facts.outputs !== expected) {
    throw new DistmisError(
      "DATA_INVALID",
      `${file}: the network has ${facts.outputs} outputs, expected ${expected} for its ${mode} labels`,
    );
  }
  return preprocessing;
}
