/** Random changes to training volumes, reproducible by seed. */
export { augmentedSource, trainingShape } from "./source.ts";
