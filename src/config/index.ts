/** Experiments: their schema, their files, and the configurations of their trials. */
export { type AugmentationConfig, augmentationSchema } from "./augmentation.ts";
export { nearest } from "./describe.ts";
export { type Difference, describeDifference, differences } from "./difference.ts";
export { failureSchema } from "./failure-schema.ts";
export { DISTMIS_SPACE } from "./flat.ts";
export { defineExperiment, type LoadOptions, loadExperiment } from "./load.ts";
export { loadAugmentation } from "./load-augmentation.ts";
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
export { searchSchema } from "./search-schema.ts";
export { gridPoints, gridSize, MAX_GRID_TRIALS, type Parameters, trialConfig } from "./space.ts";
