/** Volumes as pictures. */
export type { NiftiFiles } from "./load-nifti.ts";
export { loadSample, type SampleChoice } from "./load-sample.ts";
export { drawStill } from "./still.ts";
export { type Picture, type VisualizeOptions, visualize } from "./visualize.ts";
export type { PictureVolume } from "./volume.ts";
export { percentileWindow } from "./window.ts";
