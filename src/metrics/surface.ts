/** Distances between the surfaces of two segmentations. */
import { type Sizes, squaredDistances } from "./distance.ts";

const PERCENTILE = 0.95;

/**
 * HD95 of a class between two arrays of class values (X, Y, Z), x running fastest: for each direction the 95th percentile
 * (linearly interpolated) of the distances from one surface's voxels to the nearest of the other's, then the larger of the two. A
 * surface voxel has one of its six neighbours outside the class or outside the volume.
 * Source: Metrics Reloaded (Maier-Hein et al., 2024); MONAI's compute_hausdorff_distance has the same definition.
 *
 * @param isClass whether a value belongs to the class
 * @param spacing edges of a voxel in mm
 * @returns mm; 0 where the class is in neither, null where it is in one alone
 */
export function hausdorff95(
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  isClass: (value: number) => boolean,
  sizes: Sizes,
  spacing: readonly number[],
): number | null {
  const box = boundingBox(truth, predicted, isClass, sizes);
  if (box === null) return 0;
  // What lies outside the box has neither surface, so that distances within it are those of the whole volume.
  const a = surface(crop(truth, isClass, sizes, box), box.sizes);
  const b = surface(crop(predicted, isClass, sizes, box), box.sizes);
  if (!a.includes(1) || !b.includes(1)) return null;
  // One after the other: the distances are the largest arrays of an evaluation.
  const directed = (from: Uint8Array, to: Uint8Array) => percentile(squaredDistances(to, box.sizes, spacing), from);
  return Math.max(directed(a, b), directed(b, a));
}

interface Box {
  start: Sizes;
  sizes: Sizes;
}

function boundingBox(
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  isClass: (value: number) => boolean,
  [nx, ny, nz]: Sizes,
): Box | null {
  const low: [number, number, number] = [nx, ny, nz];
  const high: [number, number, number] = [-1, -1, -1];
  for (let z = 0, at = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, at++) {
        if (!isClass(truth[at] ?? 0) && !isClass(predicted[at] ?? 0)) continue;
        if (x < low[0]) low[0] = x;
        if (x > high[0]) high[0] = x;
        if (y < low[1]) low[1] = y;
        if (y > high[1]) high[1] = y;
        if (z < low[2]) low[2] = z;
        high[2] = z;
      }
    }
  }
  if (high[2] < 0) return null;
  return { start: low, sizes: [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1] };
}

/** 1 where the class is, within the box. */
function crop(
  values: ArrayLike<number>,
  isClass: (value: number) => boolean,
  [nx, ny]: Sizes,
  { start: [x0, y0, z0], sizes: [bx, by, bz] }: Box,
): Uint8Array {
  const mask = new Uint8Array(bx * by * bz);
  for (let z = 0, to = 0; z < bz; z++) {
    for (let y = 0; y < by; y++) {
      let from = ((z + z0) * ny + y + y0) * nx + x0;
      for (let x = 0; x < bx; x++, from++, to++) mask[to] = isClass(values[from] ?? 0) ? 1 : 0;
    }
  }
  return mask;
}

/** 1 at the surface voxels of a mask. */
function surface(mask: Uint8Array, [nx, ny, nz]: Sizes): Uint8Array {
  const result = new Uint8Array(mask.length);
  const layer = nx * ny;
  for (let z = 0, at = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, at++) {
        if (mask[at] === 0) continue;
        const inside =
          x > 0 &&
          x < nx - 1 &&
          y > 0 &&
          y < ny - 1 &&
          z > 0 &&
          z < nz - 1 &&
          mask[at - 1] &&
          mask[at + 1] &&
          mask[at - nx] &&
          mask[at + nx] &&
          mask[at - layer] &&
          mask[at + layer];
        if (!inside) result[at] = 1;
      }
    }
  }
  return result;
}

/** The 95th percentile of the roots of `squares` at the places of `mask`. */
function percentile(squares: Float64Array, mask: Uint8Array): number {
  const distances = squares.filter((_, at) => mask[at] === 1).map(Math.sqrt);
  distances.sort();
  const place = PERCENTILE * (distances.length - 1);
  const lower = distances[Math.floor(place)] ?? 0;
  const upper = distances[Math.ceil(place)] ?? 0;
  return lower + (upper - lower) * (place - Math.floor(place));
}
