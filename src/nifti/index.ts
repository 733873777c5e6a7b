/** NIfTI volumes in and out: NIfTI-1 and NIfTI-2, checked before they are believed. */
export { type Affine, affineDistance, type StoredGrid } from "./affine.ts";
export { inspectNifti, type NiftiInspection } from "./inspect.ts";
export { listNifti, niftiStem } from "./name.ts";
export type { NiftiHeader } from "./open.ts";
export { orientationOf } from "./orientation.ts";
export { type NiftiImage, readNifti, readNiftiHeader } from "./read.ts";
export type { VoxelArray } from "./voxels.ts";
export { encodeNifti, type NiftiVolume, writeNifti } from "./write.ts";
