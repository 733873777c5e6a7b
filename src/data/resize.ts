/**
 * Resizing as tf.image.resize does it (TensorFlow 2, half-pixel centres, no antialiasing), on each of three axes. Positions
 * are computed in float32 like TensorFlow's kernels, so that the same neighbours are chosen.
 * Source: tensorflow/core/kernels/image/{resize_bilinear_op,resize_nearest_neighbor_op,image_resizer_state}.
 */

export type Shape3 = readonly [number, number, number];

interface Taps {
  lower: Int32Array;
  upper: Int32Array;
  /** Weight of `upper`. */
  weight: Float64Array;
}

function linearTaps(from: number, to: number): Taps {
  const scale = Math.fround(from / to);
  const taps = { lower: new Int32Array(to), upper: new Int32Array(to), weight: new Float64Array(to) };
  for (let index = 0; index < to; index++) {
    const position = Math.fround(Math.fround(Math.fround(index + 0.5) * scale) - 0.5);
    const floor = Math.floor(position);
    taps.lower[index] = Math.max(0, floor);
    taps.upper[index] = Math.min(from - 1, Math.ceil(position));
    taps.weight[index] = position - floor;
  }
  return taps;
}

function nearestIndices(from: number, to: number): Int32Array {
  const scale = Math.fround(from / to);
  const indices = new Int32Array(to);
  for (let index = 0; index < to; index++) {
    indices[index] = Math.min(from - 1, Math.floor(Math.fround(Math.fround(index + 0.5) * scale)));
  }
  return indices;
}

type Values = Float32Array | Float64Array;

/** One axis of an array seen as [outer, from, inner], inner running fastest. */
function resizeAxis(input: Values, outer: number, from: number, inner: number, to: number): Float32Array {
  const output = new Float32Array(outer * to * inner);
  const { lower, upper, weight } = linearTaps(from, to);
  for (let block = 0; block < outer; block++) {
    for (let index = 0; index < to; index++) {
      let low = (block * from + (lower[index] ?? 0)) * inner;
      let high = (block * from + (upper[index] ?? 0)) * inner;
      let target = (block * to + index) * inner;
      const part = weight[index] ?? 0;
      for (const end = target + inner; target < end; target++, low++, high++) {
        const value = input[low] ?? 0;
        output[target] = value + ((input[high] ?? 0) - value) * part;
      }
    }
  }
  return output;
}

/**
 * Trilinear resize of a volume whose first axis runs fastest (Fortran order); the result is float32 in the same order.
 * Axes that keep their size are not touched; `input` itself is returned if that is all of them and it is float32.
 */
export function resizeLinear(input: Values, from: Shape3, to: Shape3): Float32Array {
  let values = input;
  const shape: [number, number, number] = [from[0], from[1], from[2]];
  // Axes that shrink the most come first: the later ones then have less to do. Linear maps on different axes commute.
  const order = ([0, 1, 2] as const).toSorted((a, b) => to[a] / from[a] - to[b] / from[b]);
  for (const axis of order) {
    if (from[axis] === to[axis]) continue;
    const inner = axis === 0 ? 1 : axis === 1 ? shape[0] : shape[0] * shape[1];
    const outer = axis === 0 ? shape[1] * shape[2] : axis === 1 ? shape[2] : 1;
    values = resizeAxis(values, outer, from[axis], inner, to[axis]);
    shape[axis] = to[axis];
  }
  return values instanceof Float32Array ? values : new Float32Array(values);
}

/**
 * Nearest-neighbour resize of a volume whose first axis runs fastest (Fortran order). `input` itself is returned if no side changes
 * and it is float32.
 */
export function resizeNearest(input: Values, from: Shape3, to: Shape3): Float32Array {
  if (from.every((side, axis) => side === to[axis]))
    return input instanceof Float32Array ? input : new Float32Array(input);
  const [xs, ys, zs] = [nearestIndices(from[0], to[0]), nearestIndices(from[1], to[1]), nearestIndices(from[2], to[2])];
  const output = new Float32Array(to[0] * to[1] * to[2]);
  let target = 0;
  for (const z of zs) {
    for (const y of ys) {
      const row = (z * from[1] + y) * from[0];
      for (let x = 0; x < xs.length; x++) output[target++] = input[row + (xs[x] ?? 0)] ?? 0;
    }
  }
  return output;
}
