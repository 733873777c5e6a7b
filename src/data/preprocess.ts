import { DistmisError } from "../errors/index.ts";
import type { VoxelArray } from "../nifti/index.ts";
import { channelsOf, type Grid, planGrid, splitShape, type Volumetric } from "./geometry.ts";
import { momentsOf } from "./moments.ts";
import { classValues, type Preprocessing } from "./recipe.ts";
import { turnVolume } from "./reorient.ts";
import { checkClasses, checkFinite } from "./repair.ts";
import { resizeLinear, resizeNearest, type Shape3 } from "./resize.ts";
import { centred, moveLastAxisFirst, type Scaling } from "./transpose.ts";

export interface PreprocessedImage {
  /** [C, X, Y, Z], Z running fastest. */
  image: Float32Array;
  shape: [number, number, number, number];
  /** Voxels, over all channels, that were not finite and became 0: see the recipe's `repair`. */
  repaired: number;
}

export interface PreprocessedLabel {
  /** [1, X, Y, Z], Z running fastest; 0 or 1, or for a multi-class recipe the class's place in {@link classValues}. */
  label: Float32Array;
  shape: [number, number, number, number];
  /** Voxels that were no class and became one. */
  repaired: number;
}

/**
 * An image (X, Y, Z, C), or (X, Y, Z) with one modality, to the network's input in the recipe's shape.
 * Errors: DATA_INVALID naming the file for other ranks or channel counts and for NaN or infinite voxels that aren't repaired.
 *
 * @param reuse an array that the result may be put into if it has its size: fresh memory takes as long as the work itself
 */
export function preprocessImage(source: Volumetric, recipe: Preprocessing, reuse?: Float32Array): PreprocessedImage {
  return image(source, recipe, planGrid(source, recipe), recipe.shape, reuse);
}

/**
 * {@link preprocessImage} without the fit "pad-or-crop": all of the volume, whose shape then is its own. With the fit "resize" the
 * two are the same.
 */
export function imageOnGrid(source: Volumetric, recipe: Preprocessing): PreprocessedImage {
  const grid = planGrid(source, recipe);
  return image(source, recipe, grid, grid.shape);
}

/**
 * A label (X, Y, Z) to the network's target in the recipe's shape. Errors: DATA_INVALID naming the file for voxels off the
 * integers or outside the recipe's classes that aren't repaired.
 *
 * @param reuse as of {@link preprocessImage}
 */
export function preprocessLabel(source: Volumetric, recipe: Preprocessing, reuse?: Float32Array): PreprocessedLabel {
  return label(source, recipe, planGrid(source, recipe), recipe.shape, reuse);
}

/** {@link preprocessLabel} without the fit "pad-or-crop", as {@link imageOnGrid}. */
export function labelOnGrid(source: Volumetric, recipe: Preprocessing): PreprocessedLabel {
  const grid = planGrid(source, recipe);
  return label(source, recipe, grid, grid.shape);
}

function image(
  source: Volumetric,
  recipe: Preprocessing,
  grid: Grid,
  shape: Shape3,
  reuse?: Float32Array,
): PreprocessedImage {
  const channels = channelsOf(source, recipe);
  const native = size(grid.stored);
  const target = size(shape);
  const image = zeros(channels.length * target, reuse);
  const placement = centred(grid.shape, shape);
  let repaired = 0;
  for (const [place, channel] of channels.entries()) {
    const stored = source.data.subarray(channel * native, (channel + 1) * native);
    const modality = recipe.modalities[place] ?? String(channel);
    const checked = checkFinite(source.path, stored, grid.stored, modality, recipe.repair.nonfinite);
    repaired += checked.repaired;
    const values = resizeLinear(
      resizeLinear(turnAndCut(checked.values, grid), grid.cut, grid.spaced),
      grid.spaced,
      grid.shape,
    );
    const output = image.subarray(place * target, (place + 1) * target);
    moveLastAxisFirst(values, grid.shape, output, shape, placement, standardisation(values));
  }
  return { image, shape: [channels.length, ...shape], repaired };
}

function label(
  source: Volumetric,
  recipe: Preprocessing,
  grid: Grid,
  shape: Shape3,
  reuse?: Float32Array,
): PreprocessedLabel {
  const { path, data } = source;
  if (splitShape(source).channels !== 1)
    throw new DistmisError("DATA_INVALID", `${path}: a label of shape ${source.shape.join(" x ")}, expected X x Y x Z`);
  const { values: classes, repaired } = checkClasses(path, data, grid.stored, recipe);
  const values = resizeNearest(
    resizeNearest(turnAndCut(classes, grid), grid.cut, grid.spaced),
    grid.spaced,
    grid.shape,
  );
  const label = zeros(size(shape), reuse);
  moveLastAxisFirst(values, grid.shape, label, shape, centred(grid.shape, shape), null);
  toTargets(label, recipe);
  return { label, shape: [1, ...shape], repaired };
}

/** Slices along z are contiguous in Fortran order, so a cut is a view. */
function turnAndCut(data: VoxelArray, { stored, turn, start, cut }: Grid): VoxelArray {
  const slice = cut[0] * cut[1];
  return turnVolume(data, stored, turn).subarray(start * slice, (start + cut[2]) * slice);
}

/** Values of the label file to those of the target, in place. */
function toTargets(label: Float32Array, recipe: Preprocessing): void {
  if (recipe.labels.mode === "binary") {
    for (let index = 0; index < label.length; index++) label[index] = (label[index] ?? 0) > 0 ? 1 : 0;
    return;
  }
  const places = new Map(classValues(recipe).map((value, place) => [value, place]));
  // Most voxels are what the one before is.
  let [last, place] = [0, places.get(0) ?? 0];
  for (let index = 0; index < label.length; index++) {
    const value = label[index] ?? 0;
    if (value !== last) [last, place] = [value, places.get(value) ?? 0];
    label[index] = place;
  }
}

function zeros(length: number, reuse: Float32Array | undefined): Float32Array {
  return reuse?.length === length ? reuse.fill(0) : new Float32Array(length);
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function standardisation(values: Float32Array): Scaling {
  const { mean, squares } = momentsOf(values);
  return { mean, deviation: Math.max(Math.sqrt(squares / values.length), 1 / Math.sqrt(values.length)) };
}
