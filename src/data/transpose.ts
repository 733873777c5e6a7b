import type { Shape3 } from "./resize.ts";

export interface Scaling {
  mean: number;
  deviation: number;
}

/** Side of the square tiles: two of them, of float32, lie in a 32 kB first-level cache. */
const TILE = 32;

/**
 * (X, Y, Z) with x running fastest (NIfTI) to z running fastest (TensorFlow), standardised on the way. `output` must not
 * overlap `input`.
 */
export function moveLastAxisFirst(
  input: Float32Array,
  [nx, ny, nz]: Shape3,
  output: Float32Array,
  scaling: Scaling | null,
): void {
  const mean = scaling?.mean ?? 0;
  const factor = 1 / (scaling?.deviation ?? 1);
  for (let y = 0; y < ny; y++) {
    for (let x0 = 0; x0 < nx; x0 += TILE) {
      const x1 = Math.min(nx, x0 + TILE);
      for (let z0 = 0; z0 < nz; z0 += TILE) {
        const z1 = Math.min(nz, z0 + TILE);
        for (let x = x0; x < x1; x++) {
          let from = (z0 * ny + y) * nx + x;
          let to = (x * ny + y) * nz + z0;
          for (let z = z0; z < z1; z++, to++, from += nx * ny) output[to] = ((input[from] ?? 0) - mean) * factor;
        }
      }
    }
  }
}

/** (X, Y, Z) with z running fastest to x running fastest. */
export function moveFirstAxisFirst(input: Float32Array, [nx, ny, nz]: Shape3): Float32Array {
  const output = new Float32Array(nx * ny * nz);
  // The same permutation with the roles of x and z exchanged.
  moveLastAxisFirst(input, [nz, ny, nx], output, null);
  return output;
}

/** [C, voxels] to [voxels, C]. Returns `input` itself for one channel. */
export function channelsLast(input: Float32Array, channels: number): Float32Array {
  if (channels === 1) return input;
  const voxels = input.length / channels;
  const output = new Float32Array(input.length);
  if (channels === 4) {
    // The usual case, in one pass over memory.
    for (let voxel = 0, to = 0; voxel < voxels; voxel++, to += 4) {
      output[to] = input[voxel] ?? 0;
      output[to + 1] = input[voxel + voxels] ?? 0;
      output[to + 2] = input[voxel + 2 * voxels] ?? 0;
      output[to + 3] = input[voxel + 3 * voxels] ?? 0;
    }
    return output;
  }
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * voxels;
    for (let voxel = 0, to = channel; voxel < voxels; voxel++, to += channels) output[to] = input[start + voxel] ?? 0;
  }
  return output;
}
