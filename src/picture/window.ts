import type { VoxelArray } from "../nifti/index.ts";

/** Values that become black and white. */
export interface Window {
  low: number;
  high: number;
}

const LOW = 0.01;
const HIGH = 0.99;
/** Sorting more voxels than this would take longer than drawing; a regular sample of them does. */
const MOST_SORTED = 2 ** 20;

/**
 * The 1st and the 99th percentile of an image's voxels, interpolated linearly. Left out are voxels that are not finite and those that
 * have the value of the first voxel, a corner: around a head that was cut out or padded, the background is one value (0, or after
 * standardisation another) and would otherwise be most of the volume. Of more than 2^20 voxels every n-th counts.
 */
export function percentileWindow(data: VoxelArray): Window {
  const step = Math.ceil(data.length / MOST_SORTED);
  const corner = data[0] ?? 0;
  const all: number[] = [];
  for (let index = 0; index < data.length; index += step) {
    const value = data[index] ?? 0;
    if (Number.isFinite(value)) all.push(value);
  }
  const inside = all.filter((value) => value !== corner);
  const values = Float64Array.from(inside.length > 0 ? inside : all).sort();
  const [low, high] = [percentile(values, LOW), percentile(values, HIGH)];
  // One value is drawn as a middle grey.
  return low < high ? { low, high } : { low: low - 0.5, high: low + 0.5 };
}

function percentile(sorted: Float64Array, share: number): number {
  const at = share * Math.max(0, sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? 0;
  return below + ((sorted[Math.ceil(at)] ?? 0) - below) * (at - Math.floor(at));
}
