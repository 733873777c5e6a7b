/** Random changes to training volumes, reproducible by seed. */
export { type AugmentedSource, augmentedSource, trainingShape } from "./source.ts";
