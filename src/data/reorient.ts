/** Volumes with their axes exchanged and reversed. */
import { DistmisError } from "../errors/index.ts";
import { type Affine, orientationOf, type VoxelArray } from "../nifti/index.ts";
import { type AxisDirection, parseAxisCodes } from "./axis-codes.ts";
import type { Shape3 } from "./resize.ts";

type Axis = 0 | 1 | 2;

/** For each axis of the result: the axis of the source that it is, and whether it is reversed. */
export type Turn = readonly [TurnedAxis, TurnedAxis, TurnedAxis];

interface TurnedAxis {
  from: Axis;
  reversed: boolean;
}

export const NO_TURN: Turn = [
  { from: 0, reversed: false },
  { from: 1, reversed: false },
  { from: 2, reversed: false },
];

/**
 * How a volume's axes come to run as `codes` ("RAS") say, by its affine's closest axes.
 * @throws DistmisError DATA_INVALID naming the file whose affine has no directions
 */
export function turnTo(codes: string, { path, affine }: { path: string; affine: Affine }): Turn {
  const source = parseAxisCodes(orientationOf(affine) ?? "");
  if (source === null)
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: its affine is singular, so that it can't be brought to ${codes}; repair the header`,
    );
  const wanted = parseAxisCodes(codes);
  if (wanted === null) throw new DistmisError("DATA_INVALID", `orientation ${codes}: expected codes such as RAS`);
  const axisOf = ({ world, reversed }: AxisDirection): TurnedAxis => {
    const from = ([0, 1, 2] as const).find((axis) => source[axis].world === world) ?? 0;
    return { from, reversed: source[from].reversed !== reversed };
  };
  return [axisOf(wanted[0]), axisOf(wanted[1]), axisOf(wanted[2])];
}

/** The turn that undoes another. */
export function inverse(turn: Turn): Turn {
  const axisOf = (axis: Axis): TurnedAxis => {
    const from = ([0, 1, 2] as const).find((each) => turn[each].from === axis) ?? axis;
    return { from, reversed: turn[from].reversed };
  };
  return [axisOf(0), axisOf(1), axisOf(2)];
}

/** Values that belong to the axes (sides, spacing), in the order of the turned axes. */
export function turnTriple(turn: Turn, values: Shape3): [number, number, number] {
  return [values[turn[0].from], values[turn[1].from], values[turn[2].from]];
}

/** As in transpose.ts: what is read and what is written stays in the first-level cache. */
const TILE = 32;

/** A volume turned; x runs fastest before and after. Returns `input` itself where nothing changes. */
export function turnVolume(input: Float32Array, shape: Shape3, turn: Turn): Float32Array;
export function turnVolume(input: VoxelArray, shape: Shape3, turn: Turn): VoxelArray;
export function turnVolume(input: VoxelArray, shape: Shape3, turn: Turn): VoxelArray {
  if (turn.every(({ from, reversed }, axis) => from === axis && !reversed)) return input;
  const strides = [1, shape[0], shape[0] * shape[1]] as const;
  let start = 0;
  const step = turn.map(({ from, reversed }) => {
    if (reversed) start += (shape[from] - 1) * strides[from];
    return reversed ? -strides[from] : strides[from];
  });
  const [sx = 0, sy = 0, sz = 0] = step;
  const [nx, ny, nz] = turnTriple(turn, shape);
  const output = input instanceof Float32Array ? new Float32Array(input.length) : new Float64Array(input.length);
  // Tiles of x and the axis along which the source is contiguous; the third axis is the outer loop.
  const tiled = turn[2].from === 0 ? 2 : 1;
  const [tiles, outer] = tiled === 2 ? [nz, ny] : [ny, nz];
  const [stepTile, stepOuter] = tiled === 2 ? [sz, sy] : [sy, sz];
  const [writeTile, writeOuter] = tiled === 2 ? [nx * ny, nx] : [nx, nx * ny];
  for (let o = 0; o < outer; o++) {
    for (let t0 = 0; t0 < tiles; t0 += TILE) {
      const t1 = Math.min(tiles, t0 + TILE);
      for (let x0 = 0; x0 < nx; x0 += TILE) {
        const x1 = Math.min(nx, x0 + TILE);
        for (let t = t0; t < t1; t++) {
          let from = start + o * stepOuter + t * stepTile + x0 * sx;
          let to = o * writeOuter + t * writeTile + x0;
          for (let x = x0; x < x1; x++, to++, from += sx) output[to] = input[from] ?? 0;
        }
      }
    }
  }
  return output;
}
