/** Where a volume's voxels lie, in the file and on the grid that the recipe makes of it. */
import { DistmisError } from "../errors/index.ts";
import { type Affine, affineDistance, type VoxelArray } from "../nifti/index.ts";
import { type Preprocessing, shapeAfterCut } from "./recipe.ts";
import { NO_TURN, type Turn, turnTo, turnTriple } from "./reorient.ts";
import type { Shape3 } from "./resize.ts";

/** What must be known of a NIfTI volume beside its voxels. */
export interface Geometry {
  path: string;
  /** X, Y, Z, and channels. */
  shape: readonly number[];
  affine: Affine;
  /** Edges of a voxel in mm. */
  spacing: readonly [number, number, number];
}

/** What preprocessing needs of a NIfTI volume. */
export interface Volumetric extends Geometry {
  /** x running fastest. */
  data: VoxelArray;
}

/** Each shape is what the step before it gives. */
export interface Grid {
  /** X, Y, Z in the file. */
  stored: Shape3;
  turn: Turn;
  turned: Shape3;
  /** First slice along z that is kept. */
  start: number;
  cut: Shape3;
  spaced: Shape3;
  /** What the image is standardised on: the recipe's own shape with fit "resize", else `spaced`. */
  shape: Shape3;
}

/** What the recipe does to a volume, step by step. Errors: DATA_INVALID naming the file. */
export function planGrid(source: Geometry, recipe: Preprocessing): Grid {
  const { spatial: stored } = splitShape(source);
  const turn = recipe.orientation === null ? NO_TURN : turnTo(recipe.orientation, source);
  const turned = turnTriple(turn, stored);
  const cut = shapeAfterCut(turned, recipe.cut);
  const start = cut[2] === turned[2] ? 0 : (recipe.cut?.start ?? 0);
  const spaced = resampled(cut, turnTriple(turn, source.spacing), recipe.spacing);
  return { stored, turn, turned, start, cut, spaced, shape: recipe.fit === "resize" ? recipe.shape : spaced };
}

/**
 * X, Y, Z of a volume after orientation, cut and resampling: what `shape` and `fit` then change, so that a recipe's shape can be
 * chosen by it. Errors: DATA_INVALID naming the file.
 */
export function shapeBeforeFit(source: Geometry, recipe: Preprocessing): [number, number, number] {
  return [...planGrid(source, recipe).spaced];
}

/** Edges of a voxel in mm along the axes that the volume has after `orientation`. Errors: DATA_INVALID naming the file. */
export function turnedSpacing(source: Geometry, orientation: Preprocessing["orientation"]): [number, number, number] {
  return turnTriple(orientation === null ? NO_TURN : turnTo(orientation, source), source.spacing);
}

/** Edges of a voxel in mm of a volume that went through the recipe. Errors: DATA_INVALID naming the file. */
export function writtenSpacing(source: Geometry, recipe: Preprocessing): [number, number, number] {
  const { cut, shape } = planGrid(source, recipe);
  const [x, y, z] = turnedSpacing(source, recipe.orientation);
  // A resize keeps the length of the volume, padding and cropping the edge of the voxel.
  return [(x * cut[0]) / shape[0], (y * cut[1]) / shape[1], (z * cut[2]) / shape[2]];
}

function resampled(shape: Shape3, from: Shape3, to: Preprocessing["spacing"]): Shape3 {
  if (to === null) return shape;
  const side = (axis: 0 | 1 | 2): number => Math.max(1, Math.round((shape[axis] * from[axis]) / to[axis]));
  return [side(0), side(1), side(2)];
}

/**
 * Places in the file of the network's channels.
 * Errors: DATA_INVALID naming the file and both numbers where it has others than the recipe expects.
 */
export function channelsOf(source: Pick<Geometry, "path" | "shape">, recipe: Preprocessing): number[] {
  const { channels } = splitShape(source);
  const found = `${source.path}: has ${channels} channel${channels === 1 ? "" : "s"} (shape ${source.shape.join(" x ")})`;
  if (recipe.channels === null) {
    if (channels === recipe.modalities.length) return [...recipe.modalities.keys()];
    throw new DistmisError(
      "DATA_INVALID",
      `${found}, expected ${recipe.modalities.length}: ${recipe.modalities.join(", ")}`,
    );
  }
  const last = Math.max(...recipe.channels);
  if (last < channels) return recipe.channels;
  const name = recipe.modalities[recipe.channels.indexOf(last)] ?? "";
  throw new DistmisError("DATA_INVALID", `${found}, but ${name} is taken from channel ${last}, counted from 0`);
}

/** X, Y, Z and the number of channels of an image of rank 1 to 4. Errors: DATA_INVALID for more axes than that. */
export function splitShape(source: Pick<Geometry, "path" | "shape">): {
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

/** Affines of an image and its label may differ by this much (mm and mm a voxel) before they count as different. */
const AFFINE_TOLERANCE = 1e-3;

type OnGrid = Pick<Geometry, "path" | "shape" | "affine">;

/** Whether image and label lie on one grid. Errors: DATA_INVALID naming both files. */
export function checkPair(image: OnGrid, label: OnGrid): void {
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
