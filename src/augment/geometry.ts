/**
 * Crop, rotation, scaling and flips as one affine map from the voxels of the result to those of the source, so that a
 * volume is read once and interpolated at most once. Coordinates are indices of voxels along x, y and z: a rotation takes
 * voxels for cubes.
 */
import type { AugmentationConfig } from "../config/index.ts";
import type { Random } from "./random.ts";

export type Vector = [number, number, number];
/** By rows. */
export type Matrix = [Vector, Vector, Vector];

export interface Geometry {
  /** Sides of the result. */
  shape: Vector;
  /** source = matrix * result + offset */
  matrix: Matrix;
  offset: Vector;
}

interface Source {
  /** (X, Y, Z), classes; 0 is the background. */
  label: Float32Array;
  shape: Vector;
}

const AXES = ["x", "y", "z"] as const;
const vector = (of: (axis: 0 | 1 | 2) => number): Vector => [of(0), of(1), of(2)];
const product = (matrix: Matrix, { 0: x, 1: y, 2: z }: Vector): Vector =>
  vector((row) => matrix[row][0] * x + matrix[row][1] * y + matrix[row][2] * z);

/** Draws the map for one volume, or null where the result would be the source itself. */
export function drawGeometry(source: Source, config: AugmentationConfig, random: Random): Geometry | null {
  const shape = config.crop?.shape ?? source.shape;
  const { pivot, start } = config.crop ? drawCrop(source, config.crop, random) : whole(shape);
  const flipped = drawFlips(config.flip, random);
  const turn = drawTurn(config, random);
  if (turn === null && !flipped.includes(true) && shape.every((side, axis) => side === source.shape[axis])) return null;
  // A flip mirrors the finished crop; the voxel at `pivot` of the source stays where crop and flip have put it.
  const mirrored = (matrix: Matrix): Matrix => {
    const row = (of: Vector) => vector((axis) => (flipped[axis] ? -of[axis] : of[axis]));
    return [row(matrix[0]), row(matrix[1]), row(matrix[2])];
  };
  const matrix = turn ?? unit(1);
  const corner = vector((axis) => (flipped[axis] ? shape[axis] - 1 : 0) + start[axis] - pivot[axis]);
  const moved = product(matrix, corner);
  return { shape, matrix: mirrored(matrix), offset: vector((axis) => pivot[axis] + moved[axis]) };
}

const unit = (scale: number): Matrix => [
  [scale, 0, 0],
  [0, scale, 0],
  [0, 0, scale],
];

interface Placed {
  /** Voxel of the source that rotation and scaling leave where it is. */
  pivot: Vector;
  /** First voxel of the crop in the source. */
  start: Vector;
}

const whole = (shape: Vector): Placed => ({ pivot: vector((axis) => (shape[axis] - 1) / 2), start: [0, 0, 0] });

function drawCrop({ label, shape }: Source, crop: NonNullable<AugmentationConfig["crop"]>, random: Random): Placed {
  const room = vector((axis) => shape[axis] - crop.shape[axis]);
  const voxel = random.chance(crop.foreground_probability) ? drawForeground(label, shape, random) : null;
  // Any place inside the volume that holds the voxel is equally likely.
  const start = vector((axis) => {
    const low = voxel ? Math.max(0, voxel[axis] - crop.shape[axis] + 1) : 0;
    const high = voxel ? Math.min(room[axis], voxel[axis]) : room[axis];
    return low + random.below(high - low + 1);
  });
  return { pivot: voxel ?? vector((axis) => start[axis] + (crop.shape[axis] - 1) / 2), start };
}

/** A voxel of a class other than 0, each class of the volume equally likely, then each of its voxels; or null. */
function drawForeground(label: Float32Array, shape: Vector, random: Random): Vector | null {
  const voxelsOf: number[] = [];
  for (let i = 0; i < label.length; i++) {
    const found = label[i] as number;
    if (found !== 0) voxelsOf[found] = (voxelsOf[found] ?? 0) + 1;
  }
  const classes = Object.keys(voxelsOf).map(Number);
  const chosen = classes[random.below(classes.length)];
  if (chosen === undefined) return null;
  let left = random.below(voxelsOf[chosen] ?? 0);
  for (let i = 0; i < label.length; i++) {
    if (label[i] !== chosen || left-- > 0) continue;
    const [, height, depth] = shape;
    return [Math.floor(i / (height * depth)), Math.floor(i / depth) % height, i % depth];
  }
  return null;
}

function drawFlips(flip: AugmentationConfig["flip"], random: Random): [boolean, boolean, boolean] {
  const drawn = (axis: 0 | 1 | 2) => flip?.axes.includes(AXES[axis]) === true && random.chance(flip.probability);
  return [drawn(0), drawn(1), drawn(2)];
}

/** Rotation and scaling, from the result's voxels to the source's; null for neither. */
function drawTurn({ rotation, scaling }: AugmentationConfig, random: Random): Matrix | null {
  const angles =
    rotation && random.chance(rotation.probability) ? vector((axis) => random.uniform(...rotation[AXES[axis]])) : null;
  const scale = scaling && random.chance(scaling.probability) ? random.uniform(...scaling.range) : 1;
  if (angles === null && scale === 1) return null;
  const matrix = angles ? rotationMatrix(angles) : unit(1);
  const row = (of: Vector) => vector((axis) => of[axis] / scale);
  return [row(matrix[0]), row(matrix[1]), row(matrix[2])];
}

/**
 * Rz * Ry * Rx of three angles in degrees, each turning its plane as in a right-handed system (x to y, y to z, z to x).
 * Exact for multiples of 90 degrees.
 */
function rotationMatrix(angles: Vector): Matrix {
  const [a, b, c] = [sineAndCosine(angles[0]), sineAndCosine(angles[1]), sineAndCosine(angles[2])];
  return [
    [c.cos * b.cos, c.cos * b.sin * a.sin - c.sin * a.cos, c.cos * b.sin * a.cos + c.sin * a.sin],
    [c.sin * b.cos, c.sin * b.sin * a.sin + c.cos * a.cos, c.sin * b.sin * a.cos - c.cos * a.sin],
    [-b.sin, b.cos * a.sin, b.cos * a.cos],
  ];
}

function sineAndCosine(degrees: number): { sin: number; cos: number } {
  const radians = (degrees * Math.PI) / 180;
  // The float nearest to pi / 2 is not pi / 2: its cosine is not 0.
  const exact = degrees % 90 === 0;
  const of = (value: number) => (exact ? Math.round(value) : value);
  return { sin: of(Math.sin(radians)), cos: of(Math.cos(radians)) };
}
