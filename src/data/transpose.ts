import type { Shape3 } from "./resize.ts";

export interface Scaling {
  mean: number;
  deviation: number;
}

/** Voxels along x that are moved together: a cache line of float32, whose lines along z lie in the first-level cache. */
const STRIP = 16;

/** A box of one volume that becomes a box of another. */
export interface Placement {
  /** First voxel in the one and in the other. */
  read: Shape3;
  write: Shape3;
  size: Shape3;
}

/** All of a volume. */
export function whole(size: Shape3): Placement {
  return { read: [0, 0, 0], write: [0, 0, 0], size };
}

/** The middle of a volume in the middle of another; where a side is odd, the smaller half comes first. */
export function centred(from: Shape3, to: Shape3): Placement {
  const each = (of: (axis: 0 | 1 | 2) => number): Shape3 => [of(0), of(1), of(2)];
  return {
    read: each((axis) => Math.max(0, Math.floor((from[axis] - to[axis]) / 2))),
    write: each((axis) => Math.max(0, Math.floor((to[axis] - from[axis]) / 2))),
    size: each((axis) => Math.min(from[axis], to[axis])),
  };
}

/**
 * (X, Y, Z) with x running fastest (NIfTI) to z running fastest (TensorFlow), standardised on the way. What lies outside of the
 * placement is not touched. `output` must not overlap `input`.
 */
export function moveLastAxisFirst(
  input: Float32Array,
  from: Shape3,
  output: Float32Array,
  to: Shape3,
  { read, write, size }: Placement,
  scaling: Scaling | null,
): void {
  const mean = scaling?.mean ?? 0;
  const factor = 1 / (scaling?.deviation ?? 1);
  const slice = from[0] * from[1];
  for (let y = 0; y < size[1]; y++) {
    for (let x0 = 0; x0 < size[0]; x0 += STRIP) {
      const x1 = Math.min(size[0], x0 + STRIP);
      for (let x = x0; x < x1; x++) {
        let at = read[2] * slice + (read[1] + y) * from[0] + read[0] + x;
        let target = ((write[0] + x) * to[1] + write[1] + y) * to[2] + write[2];
        for (const end = target + size[2]; target < end; target++, at += slice)
          output[target] = ((input[at] ?? 0) - mean) * factor;
      }
    }
  }
}

/** (X, Y, Z) with z running fastest to x running fastest. */
export function moveFirstAxisFirst(input: Float32Array, [nx, ny, nz]: Shape3): Float32Array {
  const output = new Float32Array(nx * ny * nz);
  // The same permutation with the roles of x and z exchanged.
  const reversed: Shape3 = [nz, ny, nx];
  moveLastAxisFirst(input, reversed, output, reversed, whole(reversed), null);
  return output;
}
