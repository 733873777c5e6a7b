/** Sliding windows against the definition, with networks that are plain functions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Shape3 } from "../../src/data/index.ts";
import { addProbabilities, axisWindows, countWindows } from "../../src/inference/windows.ts";
import { noise } from "../data/helpers.ts";

const size = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);

const CASES: [Shape3, Shape3, number][] = [
  [[7, 9, 11], [7, 9, 11], 0.5],
  [[7, 9, 11], [4, 4, 4], 0.5],
  [[13, 5, 8], [4, 8, 2], 0.5],
  [[13, 5, 8], [6, 6, 6], 0],
  [[9, 9, 9], [4, 3, 5], 0.9],
  [[3, 2, 1], [8, 4, 2], 0.5],
];

describe("windows along an axis", () => {
  it("begin where nnU-Net's do", () => {
    const starts = (length: number, window: number, overlap = 0.5) =>
      axisWindows(length, window, overlap).map(({ start }) => start);
    // The example in nnU-Net's compute_steps_for_sliding_window.
    assert.deepEqual(starts(110, 64), [0, 23, 46]);
    assert.deepEqual(starts(64, 64), [0]);
    assert.deepEqual(starts(65, 64), [0, 1]);
    assert.deepEqual(starts(128, 64), [0, 32, 64]);
    assert.deepEqual(starts(128, 64, 0), [0, 64]);
    assert.deepEqual(starts(129, 64, 0), [0, 33, 65]);
    // Each voxel once, not for ever.
    assert.deepEqual(starts(6, 4, 0.999), [0, 1, 2]);
    // A volume that is smaller lies in the middle, as where training volumes are padded.
    assert.deepEqual([starts(5, 8), starts(4, 8)], [[-1], [-2]]);
  });

  it("have weights above 0 that sum to 1 at every voxel", () => {
    for (const overlap of [0, 0.25, 0.5, 0.75]) {
      for (const [length, window] of [
        [110, 64],
        [64, 64],
        [5, 8],
        [1, 1],
        [200, 3],
      ] as const) {
        const sums = new Float64Array(length);
        for (const { start, weights } of axisWindows(length, window, overlap)) {
          for (const [at, weight] of weights.entries()) {
            const inside = start + at >= 0 && start + at < length;
            assert.ok(inside ? weight > 0 : weight === 0);
            if (inside) sums[start + at] = (sums[start + at] ?? 0) + weight;
          }
        }
        assert.ok(
          sums.every((sum) => Math.abs(sum - 1) < 1e-12),
          `${length} ${window} ${overlap}`,
        );
      }
    }
  });
});

describe("windows over a volume", () => {
  it("give what the whole volume gives, for a network that looks at single voxels", async () => {
    for (const [volume, window, overlap] of CASES) {
      const voxels = size(volume);
      const image = noise(2 * voxels, 3);
      const classesOf = (a: number, b: number) => [a * b, a - b, 1 - a];
      let windows = 0;
      const sum = new Float32Array(3 * voxels);
      await addProbabilities(
        (tile, shape) => {
          assert.deepEqual(shape, [...window, 2]);
          return Float32Array.from(
            Array.from({ length: tile.length / 2 }, (_, at) =>
              classesOf(tile[2 * at] ?? 9, tile[2 * at + 1] ?? 9),
            ).flat(),
          );
        },
        { image, shape: [2, ...volume] },
        window,
        overlap,
        0.25,
        sum,
        () => windows++,
      );
      assert.equal(windows, countWindows(volume, window, overlap));
      for (let voxel = 0; voxel < voxels; voxel++) {
        const expected = classesOf(image[voxel] ?? 9, image[voxels + voxel] ?? 9);
        for (const [place, value] of expected.entries())
          assert.ok(Math.abs((sum[3 * voxel + place] ?? 9) - value / 4) < 1e-6);
      }
    }
  });

  it("are blended by the Gaussians of the definition", async () => {
    for (const [volume, window, overlap] of CASES) {
      // Each voxel of a window says where in which window it is, so that nothing cancels out.
      const values = noise(size(window), 5);
      let calls = 0;
      const network = () => values.map((value) => value + calls++ / values.length);
      const sum = new Float32Array(size(volume));
      const image = new Float32Array(size(volume));
      await addProbabilities(network, { image, shape: [1, ...volume] }, window, overlap, 1, sum, () => {});

      const [weighted, weights] = [new Float64Array(size(volume)), new Float64Array(size(volume))];
      const starts = volume.map((length, axis) =>
        axisWindows(length, window[axis] ?? 1, overlap).map(({ start }) => start),
      );
      calls = 0;
      for (const x0 of starts[0] ?? []) {
        for (const y0 of starts[1] ?? []) {
          for (const z0 of starts[2] ?? []) {
            const result = network();
            for (let at = 0; at < result.length; at++) {
              const z = at % window[2];
              const y = Math.floor(at / window[2]) % window[1];
              const x = Math.floor(at / (window[1] * window[2]));
              const inside = [x0 + x, y0 + y, z0 + z].every((place, axis) => place >= 0 && place < (volume[axis] ?? 0));
              if (!inside) continue;
              const distance = [x, y, z].map((place, axis) => {
                const side = window[axis] ?? 1;
                return (place - (side - 1) / 2) / (side / 8);
              });
              const weight = Math.exp(-0.5 * distance.reduce((squares, each) => squares + each ** 2, 0));
              const to = ((x0 + x) * volume[1] + y0 + y) * volume[2] + z0 + z;
              weighted[to] = (weighted[to] ?? 0) + weight * (result[at] ?? 0);
              weights[to] = (weights[to] ?? 0) + weight;
            }
          }
        }
      }
      for (const [at, value] of sum.entries()) {
        const expected = (weighted[at] ?? 0) / (weights[at] ?? 0);
        assert.ok(Math.abs(value - expected) < 1e-5 * Math.max(1, Math.abs(expected)), `${at}: ${value}, ${expected}`);
      }
    }
  });
});
