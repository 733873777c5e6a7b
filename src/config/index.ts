/** Experiments: their schema, their files, and the configurations of their trials. */

export { type AugmentationConfig, augmentationSchema } from "./augmentation.ts";
export {
  type Axis,
  type AxisValues,
  allows,
  axisSize,
  type Condition,
  describeAxis,
  isActive,
  type Parameters,
  valueAtIndex,
  valuesOf,
} from "./axis.ts";
export { MAX_GRID_TRIALS } from "./check-space.ts";
export { nearest } from "./describe.ts";
export { type Difference, describeDifference, differences } from "./difference.ts";
export { type FailureConfig, failureSchema } from "./failure-schema.ts";
export { DISTMIS_SPACE } from "./flat.ts";
export { gridPoints, gridSize } from "./grid-points.ts";
export { defineExperiment, type LoadOptions, loadExperiment } from "./load.ts";
export { loadAugmentation } from "./load-augmentation.ts";
export { checkGiven, readChecked } from "./read-checked.ts";
export { configurationReference } from "./reference.ts";
export {
  dataSchema,
  type Experiment,
  type ExperimentInput,
  experimentSchema,
  type ModelConfig,
  modelSchema,
  type ParameterValue,
  type ResourcesConfig,
  resourcesSchema,
  type TrainConfig,
  type TrialConfig,
  trainerSchema,
  trainSchema,
  trialConfigSchema,
} from "./schema.ts";
export { type AxisConfig, type SearchConfig, searchSchema } from "./search-schema.ts";
export {
  applied as appliedConfig,
  axesOf,
  fieldValue,
  pointIn,
  trialConfig,
  trialConfigJson,
} from "./space.ts";
export { type AdaptiveSampler, isAdaptive, mostEpochs } from "./study-options.ts";
