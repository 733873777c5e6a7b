/** Random changes to training volumes, reproducible by seed. */
export { augment, withPreset } from "./augment.ts";
export { trainingShape } from "./training-shape.ts";
