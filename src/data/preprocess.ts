import { DistmisError } from "../errors/index.ts";
import { type Affine, affineDistance, type VoxelArray } from "../nifti/index.ts";
import { classValues, type Preprocessing, shapeAfterCut } from "./recipe.ts";
import { resizeLinear, resizeNearest, type Shape3 } from "./resize.ts";
import { moveLastAxisFirst, type Scaling } from "./transpose.ts";

/** What preprocessing needs to know of a NIfTI volume. */
export interface Volumetric {
  path: string;
  shape: readonly number[];
  data: VoxelArray;
  affine: Affine;
}

export interface PreprocessedImage {
  /** [C, X, Y, Z], Z running fastest. */
  image: Float32Array;
  shape: [number, number, number, number];
}

export interface PreprocessedLabel {
  /** [1, X, Y, Z], Z running fastest; 0 or 1, or for a multi-class recipe the class's place in {@link classValues}. */
  label: Float32Array;
  shape: [number, number, number, number];
}

/** Affines of an image and its label may differ by this much (mm and mm a voxel) before they count as different. */
const AFFINE_TOLERANCE = 1e-3;
const LARGEST_FLOAT32 = 3.4028234663852886e38;

/**
 * An image (X, Y, Z, C), or (X, Y, Z) with one modality, to the network's input.
 * Errors: DATA_INVALID naming the file for other ranks or channel counts and for NaN or infinite voxels.
 */
export function preprocessImage(source: Volumetric, recipe: Preprocessing): PreprocessedImage {
  const { path, data } = source;
  const { spatial, channels } = splitShape(source);
  if (channels !== recipe.modalities.length) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: has ${channels} channels (shape ${source.shape.join(" x ")}), expected ${recipe.modalities.length}: ${recipe.modalities.join(", ")}`,
    );
  }
  const native = size(spatial);
  const target = size(recipe.shape);
  const image = new Float32Array(channels * target);
  for (let channel = 0; channel < channels; channel++) {
    const voxels = data.subarray(channel * native, (channel + 1) * native);
    checkFinite(path, voxels, spatial, recipe.modalities[channel] ?? String(channel));
    const { values, shape } = cut(voxels, spatial, recipe);
    const resized = resizeLinear(values, shape, recipe.shape);
    moveLastAxisFirst(
      resized,
      recipe.shape,
      image.subarray(channel * target, (channel + 1) * target),
      standardisation(resized),
    );
  }
  return { image, shape: [channels, ...recipe.shape] };
}

/**
 * A label (X, Y, Z) to the network's target. Errors: DATA_INVALID naming the file for voxels off the integers or outside the
 * recipe's classes.
 */
export function preprocessLabel(source: Volumetric, recipe: Preprocessing): PreprocessedLabel {
  const { path, data } = source;
  const { spatial, channels } = splitShape(source);
  if (channels !== 1)
    throw new DistmisError("DATA_INVALID", `${path}: a label of shape ${source.shape.join(" x ")}, expected X x Y x Z`);
  checkClasses(path, data, spatial, recipe);
  const { values, shape } = cut(data, spatial, recipe);
  const resized = resizeNearest(values, shape, recipe.shape);
  toTargets(resized, recipe);
  const label = new Float32Array(resized.length);
  moveLastAxisFirst(resized, recipe.shape, label, null);
  return { label, shape: [1, ...recipe.shape] };
}

/** Values of the label file to those of the target, in place. */
function toTargets(label: Float32Array, recipe: Preprocessing): void {
  if (recipe.labels.mode === "binary") {
    for (let index = 0; index < label.length; index++) label[index] = (label[index] ?? 0) > 0 ? 1 : 0;
    return;
  }
  const places = new Map(classValues(recipe).map((value, place) => [value, place]));
  for (let index = 0; index < label.length; index++) label[index] = places.get(label[index] ?? 0) ?? 0;
}

/** Whether image and label lie on one grid. Errors: DATA_INVALID naming both files. */
export function checkPair(image: Omit<Volumetric, "data">, label: Omit<Volumetric, "data">): void {
  const [a, b] = [splitShape(image).spatial, splitShape(label).spatial];
  if (a.join() !== b.join()) {
    throw new DistmisError(
      "DATA_INVALID",
      `${image.path} is ${a.join(" x ")} voxels but its label ${label.path} is ${b.join(" x ")}; they must lie on one grid`,
    );
  }
  const distance = affineDistance(image.affine, label.affine);
  if (distance > AFFINE_TOLERANCE) {
    throw new DistmisError(
      "DATA_INVALID",
      `${image.path} and its label ${label.path} have different affines (by up to ${distance.toPrecision(3)}); resample one onto the other`,
    );
  }
}

/** X, Y, Z and the number of channels of an image of rank 1 to 4. Errors: DATA_INVALID for more axes than that. */
export function splitShape(source: { path: string; shape: readonly number[] }): {
  spatial: [number, number, number];
  channels: number;
} {
  const [x = 1, y = 1, z = 1, channels = 1, ...more] = source.shape;
  if (more.some((length) => length !== 1)) {
    throw new DistmisError(
      "DATA_INVALID",
      `${source.path}: shape ${source.shape.join(" x ")}, expected X x Y x Z or X x Y x Z x channels`,
    );
  }
  return { spatial: [x, y, z], channels };
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Slices along z are contiguous in Fortran order, so a cut is a view. */
function cut(data: VoxelArray, spatial: Shape3, recipe: Preprocessing): { values: VoxelArray; shape: Shape3 } {
  const shape = shapeAfterCut(spatial, recipe.cut);
  const slice = spatial[0] * spatial[1];
  const start = shape[2] === spatial[2] ? 0 : (recipe.cut?.start ?? 0);
  return { values: data.subarray(start * slice, (start + shape[2]) * slice), shape };
}

/** Mean and spread in float64, in two passes. */
function standardisation(values: Float32Array): Scaling {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index] ?? 0;
  const mean = sum / values.length;
  let squares = 0;
  for (let index = 0; index < values.length; index++) squares += ((values[index] ?? 0) - mean) ** 2;
  return { mean, deviation: Math.max(Math.sqrt(squares / values.length), 1 / Math.sqrt(values.length)) };
}

function checkFinite(path: string, voxels: VoxelArray, spatial: Shape3, modality: string): void {
  let bad = 0;
  let first = -1;
  for (let index = 0; index < voxels.length; index++) {
    // False for NaN as well.
    if (Math.abs(voxels[index] ?? 0) <= LARGEST_FLOAT32) continue;
    if (bad++ === 0) first = index;
  }
  if (bad > 0) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: ${bad} voxels of ${modality} are not finite, first ${voxels[first]} at ${position(first, spatial)}; repair the image`,
    );
  }
}

function checkClasses(path: string, voxels: VoxelArray, spatial: Shape3, recipe: Preprocessing): void {
  const known = new Set(classValues(recipe));
  let last = Number.NaN;
  for (let index = 0; index < voxels.length; index++) {
    const value = voxels[index] ?? 0;
    if (value === last) continue;
    if (!known.has(value)) {
      const why = Number.isInteger(value)
        ? `not among the classes of dataset.json (${[...known].join(", ")})`
        : "not a whole number";
      throw new DistmisError("DATA_INVALID", `${path}: label ${value} at ${position(index, spatial)} is ${why}`);
    }
    last = value;
  }
}

function position(index: number, [x, y]: Shape3): string {
  return `(${index % x}, ${Math.floor(index / x) % y}, ${Math.floor(index / (x * y))})`;
}
