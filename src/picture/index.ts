/** Volumes as pictures. */
export type { NiftiFiles } from "./load-nifti.ts";
export type { SampleChoice } from "./load-sample.ts";
export { type Picture, type VisualizeOptions, visualize } from "./visualize.ts";
