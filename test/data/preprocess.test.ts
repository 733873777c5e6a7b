import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  checkPair,
  type Geometry,
  type Preprocessing,
  preprocessImage,
  preprocessingSchema,
  preprocessLabel,
  restoreProbabilities,
  restoreSegmentation,
} from "../../src/data/index.ts";
import { AFFINE, failure, noise, python, tempDir } from "./helpers.ts";

function recipe(shape: [number, number, number], modalities = 1): Preprocessing {
  return preprocessingSchema.parse({
    version: 1,
    modalities: Array.from({ length: modalities }, (_, index) => `m${index}`),
    cut: { depth: 155, start: 2, stop: 154 },
    shape,
    resize: "tf-half-pixel",
    standardisation: "per-modality",
    labels: { mode: "binary", classes: { 0: "background", 1: "one", 2: "two" } },
  });
}

const grid = (shape: readonly number[], path = "volume.nii"): Geometry => ({
  path,
  shape,
  affine: AFFINE,
  spacing: [2, 1.5, 3],
});
const volume = (data: Float32Array, shape: number[], path?: string) => ({ ...grid(shape, path), data });

/** For assert.throws. */
const fails = (work: () => unknown, ...patterns: string[]): void =>
  assert.throws(work, failure("DATA_INVALID", ...patterns));

/** TensorFlow's own resize on each axis and per_image_standardization; all arrays raw float32, row-major. */
const REFERENCE = `
import json, sys, numpy as np, tensorflow as tf
folder, cases = sys.argv[1], json.loads(sys.argv[2])
def resize(x, to, method):
    # (X, Y, Z): two axes at a time as a picture, the third as channels
    x = tf.image.resize(x, to[:2], method=method).numpy()
    return tf.image.resize(x.transpose(0, 2, 1), [to[0], to[2]], method=method).numpy().transpose(0, 2, 1)
for i, (source, to) in enumerate(cases):
    image = np.fromfile(f"{folder}/{i}.image", "<f4").reshape([*source, 2], order="F")
    label = np.fromfile(f"{folder}/{i}.label", "<f4").reshape(source, order="F")
    if source[2] == 155: image, label = image[:, :, 2:-1], label[:, :, 2:-1]
    out = np.stack([resize(image[..., c], to, "bilinear") for c in range(2)])
    # On (C, X, Y, Z) it takes the first axis for the batch: each modality by itself.
    out = tf.image.per_image_standardization(out).numpy()
    out.astype("<f4").tofile(f"{folder}/{i}.image.out")
    (resize(label, to, "nearest") > 0).astype("<f4").tofile(f"{folder}/{i}.label.out")
json.dump("ok", sys.stdout)
`;

describe("preprocessing", () => {
  it("agrees with TensorFlow: cut, resize, standardisation, channels first", async (t) => {
    const dir = await tempDir(t);
    const cases: [number[], [number, number, number]][] = [
      [
        [7, 9, 11],
        [7, 9, 11],
      ],
      [
        [7, 9, 11],
        [14, 18, 22],
      ],
      [
        [35, 51, 37],
        [32, 48, 40],
      ],
      [
        [6, 5, 155],
        [6, 5, 152],
      ],
      [
        [6, 5, 155],
        [9, 4, 40],
      ],
      [
        [3, 1, 4],
        [5, 2, 4],
      ],
    ];
    const sources = cases.map(([source], index) => {
      const voxels = source.reduce((product, side) => product * side, 1);
      const image = noise(2 * voxels, index + 1).map((value) => 1000 * value);
      const label = noise(voxels, 50 + index).map((value) => Math.max(0, Math.floor(value * 4) - 1));
      return { image, label, source };
    });
    // A constant modality has no spread of its own.
    sources[0]?.image.fill(7, 0, 7 * 9 * 11);
    for (const [index, { image, label }] of sources.entries()) {
      await writeFile(join(dir, `${index}.image`), new Uint8Array(image.buffer));
      await writeFile(join(dir, `${index}.label`), new Uint8Array(label.buffer));
    }
    python(REFERENCE, dir, JSON.stringify(cases));
    for (const [index, { image, label, source }] of sources.entries()) {
      const to = cases[index]?.[1] ?? [1, 1, 1];
      const read = async (name: string) => {
        const bytes = await readFile(join(dir, name));
        return new Float32Array(new Uint8Array(bytes).buffer);
      };
      const ours = preprocessImage(volume(image, [...source, 2]), recipe(to, 2));
      assert.deepEqual(ours.shape, [2, ...to]);
      const theirs = await read(`${index}.image.out`);
      assert.equal(ours.image.length, theirs.length);
      const worst = theirs.reduce(
        (most, value, at) => Math.max(most, Math.abs(value - (ours.image[at] ?? Number.NaN))),
        0,
      );
      assert.ok(worst < 1e-5, `case ${index}: ${worst}`);
      const target = preprocessLabel(volume(label, source), recipe(to, 2));
      assert.deepEqual(target.shape, [1, ...to]);
      assert.deepEqual(target.label, await read(`${index}.label.out`));
    }
  });

  it("refuses voxels, labels and pairs that can't be right", () => {
    const shape = [2, 3, 4];
    const bad = (value: number): Float32Array => {
      const data = noise(24);
      data[7] = value;
      return data;
    };
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      fails(
        () => preprocessImage(volume(bad(value), shape, "a.nii"), recipe([2, 3, 4])),
        "a.nii",
        "1 voxels",
        String(value),
        "(1, 0, 1)",
      );
    }
    fails(
      () => preprocessImage(volume(noise(24), shape, "a.nii"), recipe([2, 3, 4], 2)),
      "a.nii",
      "1 channel (",
      "expected 2",
    );
    const label = new Float32Array(24);
    label[7] = 0.5;
    fails(() => preprocessLabel(volume(label, shape, "l.nii"), recipe([2, 3, 4])), "l.nii", "0.5", "whole number");
    label[7] = 3;
    fails(() => preprocessLabel(volume(label, shape, "l.nii"), recipe([2, 3, 4])), "label 3", "0, 1, 2");
    fails(
      () => checkPair(volume(label, shape, "a.nii"), volume(label, [2, 3, 5], "l.nii")),
      "a.nii",
      "l.nii",
      "2 x 3 x 5",
    );
    const moved = {
      ...volume(label, shape, "l.nii"),
      affine: AFFINE.map((row, r) => row.map((value, c) => (r === 1 && c === 3 ? value + 0.1 : value))),
    };
    fails(() => checkPair(volume(label, shape, "a.nii"), moved), "a.nii", "l.nii", "affines");
    checkPair(volume(label, [...shape, 1]), volume(label, shape));
  });

  it("takes a prediction back to the source's grid", () => {
    // Same shape: exact, only the axis order changes.
    const label = noise(4 * 6 * 8).map((value) => (value > 0.7 ? 1 : 0));
    const same = preprocessLabel(volume(label, [4, 6, 8]), recipe([4, 6, 8]));
    const exact = restoreSegmentation(same.label, grid([4, 6, 8]), recipe([4, 6, 8]));
    assert.deepEqual(exact, { segmentation: Uint8Array.from(label), probabilities: null });
    assert.deepEqual(
      restoreSegmentation(same.label, grid([4, 6, 8]), recipe([4, 6, 8]), true).probabilities,
      Float32Array.from(label),
    );
    // A ball, resized there and back.
    const shape = [40, 36, 44] as const;
    const ball = new Float32Array(40 * 36 * 44);
    for (let at = 0; at < ball.length; at++) {
      const [x, y, z] = [at % 40, Math.floor(at / 40) % 36, Math.floor(at / 1440)];
      ball[at] = Math.hypot(x - 18, y - 20, z - 25) < 11 ? 2 : 0;
    }
    const { segmentation: back } = restoreSegmentation(
      preprocessLabel(volume(ball, [...shape]), recipe([32, 40, 32])).label,
      grid(shape),
      recipe([32, 40, 32]),
    );
    let both = 0;
    let sum = 0;
    for (const [at, value] of ball.entries()) {
      both += value > 0 && back[at] === 1 ? 1 : 0;
      sum += (value > 0 ? 1 : 0) + (back[at] ?? 0);
    }
    assert.ok((2 * both) / sum > 0.95, `Dice ${(2 * both) / sum}`);
    // Cut slices come back as background.
    const cut = restoreProbabilities(new Float32Array(3 * 2 * 152).fill(1), grid([3, 2, 155, 4]), recipe([3, 2, 152]));
    const slices = Array.from({ length: 155 }, (_, z) => cut[z * 6]);
    assert.deepEqual(slices, [0, 0, ...Array.from({ length: 152 }, () => 1), 0]);
    fails(() => restoreProbabilities(new Float32Array(3), grid([3, 2, 5]), recipe([3, 2, 5])), "3 voxels");
  });

  it("takes the probabilities of several classes back to the values of the label files", () => {
    const of = (shape: [number, number, number], classes: Record<string, string>): Preprocessing => ({
      ...recipe(shape),
      labels: { mode: "multiclass", classes },
    });
    const classes = { 0: "background", 10: "b", 2: "a" };
    const values = [0, 2, 10];
    const shape = [5, 6, 155] as const;
    const label = noise(5 * 6 * 155, 7).map((value) => values[Math.floor(value * 3)] ?? 0);
    const same = of([5, 6, 152], classes);
    const target = preprocessLabel(volume(label, [...shape]), same).label;
    assert.deepEqual([...new Set(target)].sort(), [0, 1, 2]);
    const oneHot = (scale: number) =>
      Float32Array.from({ length: 3 * target.length }, (_, at) =>
        target[Math.floor(at / 3)] === at % 3 ? scale : 0.1,
      );
    const expected = label.map((value, at) => (at < 60 || at >= 154 * 30 ? 0 : value));
    assert.deepEqual(restoreSegmentation(oneHot(0.8), grid(shape), same).segmentation, Uint8Array.from(expected));

    // Resized: at each voxel the class whose own resized probabilities are the highest, which needn't be a resized argmax.
    const small = of([4, 3, 5], { ...classes, 10: "b" });
    const probabilities = noise(3 * 60, 9);
    const native = [8, 7, 9] as const;
    const single = [0, 1, 2].map((place) =>
      restoreProbabilities(
        Float32Array.from({ length: 60 }, (_, at) => probabilities[3 * at + place] ?? 0),
        grid(native),
        recipe([4, 3, 5]),
      ),
    );
    const best = Array.from({ length: 504 }, (_, at) => {
      const all = single.map((each) => each[at] ?? 0);
      return values[all.indexOf(Math.max(...all))];
    });
    const restored = restoreSegmentation(probabilities, grid(native), small, true);
    assert.deepEqual([...restored.segmentation], best);
    // X, Y, Z, K in the order of NIfTI: one class after the other.
    assert.deepEqual(restored.probabilities, Float32Array.from(single.flatMap((each) => [...each])));
    const parts = restoreSegmentation(
      oneHot(1).map((value) => (value === 1 ? 0.8 : 0.1)),
      grid(shape),
      same,
      true,
    );
    const [one, two] = [4650, 9300];
    assert.ok(
      parts.probabilities?.subarray(0, one).every((background, voxel) => {
        const foreground = (parts.probabilities?.[one + voxel] ?? 0) + (parts.probabilities?.[two + voxel] ?? 0);
        return Math.abs(background + foreground - 1) < 1e-6;
      }),
      "probabilities of all classes, where slices were cut off as well, sum to 1",
    );

    const wide = of([5, 6, 152], { 0: "background", 2: "a", 1000: "b" });
    assert.deepEqual(
      [...new Set(restoreSegmentation(oneHot(0.8), grid(shape), wide).segmentation)].sort(),
      [0, 1000, 2],
    );
    fails(() => restoreSegmentation(new Float32Array(100), grid(shape), same), "100 values", "3 classes");
  });
});
