/** Experiments: their schema, their files, and the configurations of their trials. */
export { type AugmentationConfig, augmentationSchema } from "./augmentation.ts";
export { type Difference, describeDifference, differences } from "./difference.ts";
export { DISTMIS_SPACE } from "./flat.ts";
export { defineExperiment, type LoadOptions, loadExperiment } from "./load.ts";
export { loadAugmentation } from "./load-augmentation.ts";
export { configurationReference } from "./reference.ts";
export {
  dataSchema,
  type Experiment,
  type ExperimentInput,
  experimentSchema,
  failureSchema,
  type ModelConfig,
  modelSchema,
  type ParameterValue,
  type ResourcesConfig,
  resourcesSchema,
  searchSchema,
  type TrainConfig,
  type TrialConfig,
  trainerSchema,
  trainSchema,
  trialConfigSchema,
} from "./schema.ts";
export { gridPoints, gridSize, MAX_GRID_TRIALS, type Parameters, trialConfig } from "./space.ts";
