/** Random changes to training volumes, reproducible by seed. */
export { augment, withPreset } from "./augment.ts";
export { type AugmentedSource, augmentedSource, trainingShape } from "./source.ts";
