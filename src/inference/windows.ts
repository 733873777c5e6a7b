/** Windows over a volume that is larger than what a network was trained on, blended by Gaussian weights as nnU-Net's. */
import { setImmediate } from "node:timers/promises";
import type { PreprocessedImage, Shape3 } from "../data/index.ts";

/** Probabilities of an image (X, Y, Z, C), see Model. */
type Probabilities = (image: Float32Array, shape: readonly [number, number, number, number]) => Float32Array;

/** One window's place along an axis. */
export interface AxisWindow {
  /** First voxel; below 0 where the volume is smaller than the window, which is laid around its middle. */
  start: number;
  /**
   * One for each voxel of the window: a Gaussian of an eighth of the window, over the sum of all windows' at that voxel of the volume,
   * so that the weights of a voxel sum to 1. 0 outside of the volume.
   */
  weights: Float64Array;
}

/**
 * The windows along an axis: as few as overlap by at least `overlap` of their length, evenly spread from end to end.
 * Isensee et al. 2021, nnU-Net's compute_steps_for_sliding_window and compute_gaussian; the axes' weights multiply to a
 * volume's, which is why each axis can be normalised by itself.
 */
export function axisWindows(length: number, window: number, overlap: number): AxisWindow[] {
  const starts = startsAlong(length, window, overlap);
  const sums = new Float64Array(length);
  const covered = starts.map((start) => {
    const weights = new Float64Array(window);
    for (let at = Math.max(0, -start); at < Math.min(window, length - start); at++) {
      const distance = (at - (window - 1) / 2) / (window / 8);
      const weight = Math.exp(-0.5 * distance ** 2);
      weights[at] = weight;
      sums[start + at] = (sums[start + at] ?? 0) + weight;
    }
    return { start, weights };
  });
  for (const { start, weights } of covered) {
    for (let at = 0; at < window; at++) weights[at] = (weights[at] ?? 0) / (sums[start + at] ?? 1);
  }
  return covered;
}

function startsAlong(length: number, window: number, overlap: number): number[] {
  const room = length - window;
  if (room <= 0) return [-Math.floor(-room / 2)];
  const steps = Math.ceil(room / Math.max(1, window * (1 - overlap)));
  return Array.from({ length: steps + 1 }, (_, index) => Math.round((index * room) / steps));
}

/** How many windows a volume of X, Y, Z takes. */
export function countWindows(shape: Shape3, window: Shape3, overlap: number): number {
  return [0, 1, 2].reduce((count, axis) => count * startsAlong(shape[axis] ?? 1, window[axis] ?? 1, overlap).length, 1);
}

/**
 * Adds `share` of an image's probabilities to `sum`, (X, Y, Z) or (X, Y, Z, K) with the last axis running fastest, a window at a time;
 * between two windows the event loop turns. Outside of the volume the network sees 0, as where training volumes are padded.
 */
export async function addProbabilities(
  probabilities: Probabilities,
  { image, shape }: Pick<PreprocessedImage, "image" | "shape">,
  window: Shape3,
  overlap: number,
  share: number,
  sum: Float32Array,
  onWindow: () => void,
): Promise<void> {
  const [channels, ...volume] = shape;
  const classes = sum.length / (volume[0] * volume[1] * volume[2]);
  const [xs, ys, zs] = volume.map((length, axis) => axisWindows(length, window[axis] ?? 1, overlap));
  for (const x of xs ?? []) {
    for (const y of ys ?? []) {
      for (const z of zs ?? []) {
        const place: Place = { volume, window, starts: [x.start, y.start, z.start] };
        const result = probabilities(takeWindow(image, channels, place), [...window, channels]);
        addWindow(result, classes, place, [x.weights, y.weights, z.weights], share, sum);
        onWindow();
        await setImmediate();
      }
    }
  }
}

interface Place {
  volume: Shape3;
  window: Shape3;
  starts: Shape3;
}

/** The part of an axis that window and volume share, in voxels of the volume. */
function shared({ volume, window, starts }: Place, axis: 0 | 1 | 2): [number, number] {
  return [Math.max(0, starts[axis]), Math.min(volume[axis], starts[axis] + window[axis])];
}

/** [C, X, Y, Z] to the window's [X, Y, Z, C]. */
function takeWindow(image: Float32Array, channels: number, place: Place): Float32Array {
  const { volume, window, starts } = place;
  const taken = new Float32Array(window[0] * window[1] * window[2] * channels);
  const [[x0, x1], [y0, y1], [z0, z1]] = [shared(place, 0), shared(place, 1), shared(place, 2)];
  for (let channel = 0; channel < channels; channel++) {
    for (let x = x0; x < x1; x++) {
      for (let y = y0; y < y1; y++) {
        let from = ((channel * volume[0] + x) * volume[1] + y) * volume[2] + z0;
        const row = ((x - starts[0]) * window[1] + y - starts[1]) * window[2] - starts[2];
        let to = (row + z0) * channels + channel;
        for (let z = z0; z < z1; z++, from++, to += channels) taken[to] = image[from] ?? 0;
      }
    }
  }
  return taken;
}

/** The window's [X, Y, Z, K], weighted, onto the volume's. */
function addWindow(
  result: Float32Array,
  classes: number,
  place: Place,
  weights: readonly [Float64Array, Float64Array, Float64Array],
  share: number,
  sum: Float32Array,
): void {
  const { volume, window, starts } = place;
  const [[x0, x1], [y0, y1], [z0, z1]] = [shared(place, 0), shared(place, 1), shared(place, 2)];
  for (let x = x0; x < x1; x++) {
    for (let y = y0; y < y1; y++) {
      const row = share * (weights[0][x - starts[0]] ?? 0) * (weights[1][y - starts[1]] ?? 0);
      let from = (((x - starts[0]) * window[1] + y - starts[1]) * window[2] + z0 - starts[2]) * classes;
      let to = ((x * volume[1] + y) * volume[2] + z0) * classes;
      for (let z = z0; z < z1; z++) {
        const weight = row * (weights[2][z - starts[2]] ?? 0);
        for (let place = 0; place < classes; place++, from++, to++)
          sum[to] = (sum[to] ?? 0) + weight * (result[from] ?? 0);
      }
    }
  }
}
