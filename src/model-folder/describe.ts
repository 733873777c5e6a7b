/** What a model's facts say, in the words of those who read it elsewhere. */
import { classValues, type Preprocessing } from "../data/index.ts";
import { type ModelFacts, NORM_EPSILON } from "../model/index.ts";

/** model.json, but for the checksums. Axes: N volumes, X, Y, Z as in NIfTI, C modalities, K outputs. */
export function describeModel(facts: ModelFacts, preprocessing: Preprocessing | null) {
  const { channels, outputs } = facts;
  const { initial_deviation: _initial, norm_momentum: _momentum, ...architecture } = facts.model;
  return {
    format: 1,
    architecture: { type: "unet3d", ...architecture, norm_epsilon: NORM_EPSILON },
    input: {
      axes: "NXYZC",
      dtype: "float32",
      channels,
      modalities: preprocessing?.modalities ?? null,
      /** X, Y, Z in training: of the volumes, or of crops; larger volumes are predicted window by window. */
      window: facts.train.augmentation?.crop?.shape ?? preprocessing?.shape ?? null,
      /** What X, Y and Z must be divisible by. */
      divisor: 2 ** architecture.depth,
    },
    output: { axes: "NXYZK", dtype: "float32", channels: outputs, activation: outputs === 1 ? "sigmoid" : "softmax" },
  };
}

/** labels.json: `output` is the place along K whose probability is that of the class; null for the background of a binary model. */
export function describeLabels(preprocessing: Preprocessing | null) {
  if (preprocessing === null) return { mode: "binary", classes: [] };
  const { mode, classes } = preprocessing.labels;
  const described = classValues(preprocessing).map((value, place) => {
    const output = mode === "multiclass" ? place : value > 0 ? 0 : null;
    return { value, name: classes[String(value)] ?? "", output };
  });
  return { mode, classes: described };
}

/** metrics.json; `measured` by what was measured, for example `test`. */
export function describeMetrics(facts: ModelFacts, measured: Readonly<Record<string, Record<string, number>>>) {
  const { epoch, metrics, goal, best } = facts;
  return { epoch, metrics, goal, best, measured };
}
