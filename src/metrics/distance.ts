/** Exact Euclidean distances on a grid of boxes, not cubes. */

/** Sizes along x, y, z of an array whose x runs fastest. */
export type Sizes = readonly [number, number, number];

/**
 * Squared distance from each voxel's centre to the nearest centre with a mask above 0, in the unit of `spacing` squared; Infinity
 * everywhere if there is none. The lower envelope of parabolas on one axis after the other, in linear time.
 * Source: Felzenszwalb, Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8 (2012).
 */
export function squaredDistances(mask: Uint8Array, sizes: Sizes, spacing: readonly number[]): Float64Array {
  const [nx, ny, nz] = sizes;
  const distances = Float64Array.from(mask, (value) => (value > 0 ? 0 : Number.POSITIVE_INFINITY));
  const strides = [1, nx, nx * ny];
  const line = envelope(Math.max(nx, ny, nz));
  for (const axis of [0, 1, 2] as const) {
    const [stride = 1, length, step] = [strides[axis], sizes[axis], spacing[axis] ?? 1];
    const block = stride * length;
    for (let outer = 0; outer < distances.length; outer += block)
      for (let inner = 0; inner < stride; inner++) line(distances, outer + inner, stride, length, step);
  }
  return distances;
}

/** Replaces f(p) by the least f(q) + (step (p - q))^2 along one line; its buffers serve all lines up to `longest`. */
function envelope(longest: number) {
  const values = new Float64Array(longest);
  /** Places of the parabolas that form the envelope, and from where on each does. */
  const places = new Int32Array(longest);
  const starts = new Float64Array(longest + 1);
  return (data: Float64Array, offset: number, stride: number, length: number, step: number): void => {
    const square = step * step;
    let last = -1;
    for (let q = 0; q < length; q++) {
      const height = data[offset + q * stride] ?? 0;
      values[q] = height;
      if (height === Number.POSITIVE_INFINITY) continue;
      let start = Number.NEGATIVE_INFINITY;
      while (last >= 0) {
        const p = places[last] ?? 0;
        start = (height - (values[p] ?? 0)) / (2 * square * (q - p)) + (q + p) / 2;
        if (start > (starts[last] ?? 0)) break;
        last--;
        start = Number.NEGATIVE_INFINITY;
      }
      last++;
      places[last] = q;
      starts[last] = start;
    }
    if (last < 0) return;
    starts[last + 1] = Number.POSITIVE_INFINITY;
    for (let p = 0, piece = 0; p < length; p++) {
      while ((starts[piece + 1] ?? 0) < p) piece++;
      const q = places[piece] ?? 0;
      data[offset + p * stride] = square * (p - q) ** 2 + (values[q] ?? 0);
    }
  };
}
