/** Models that vote: one is an ensemble of itself. */
import { isDeepStrictEqual } from "node:util";
import { classValues, type Preprocessing } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { Model } from "./model.ts";

/** At least one model, all with the same input and the same classes. The models stay their owner's to dispose of. */
export interface Ensemble {
  /** Of each of the models. */
  readonly recipe: Preprocessing;
  /** Mean of the models' probabilities, see Model. */
  probabilities(image: Float32Array, shape: readonly [number, number, number, number]): Float32Array;
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
    probabilities: (image, shape) => {
      const mean = first.probabilities(image, shape);
      for (const other of others) {
        const theirs = other.probabilities(image, shape);
        for (let at = 0; at < mean.length; at++) mean[at] = (mean[at] ?? 0) + (theirs[at] ?? 0);
      }
      if (others.length > 0) for (let at = 0; at < mean.length; at++) mean[at] = (mean[at] ?? 0) / models.length;
      return mean;
    },
  };
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
