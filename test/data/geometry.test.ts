/** Orientation, spacing and padding: against nibabel and TensorFlow, and there and back. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  imageOnGrid,
  labelOnGrid,
  preprocessImage,
  preprocessLabel,
  restoreProbabilities,
  restoreSegmentation,
  shapeBeforeFit,
} from "../../src/data/index.ts";
import { type Affine, orientationOf } from "../../src/nifti/index.ts";
import { AFFINE, failure, noise, python, tempDir } from "./helpers.ts";
import { classNoise, recipe, size, type Triple, volume } from "./volumes.ts";

/** Every permutation and flip of the axes, by spacings of 2, 1.5 and 3 mm, tilted by up to some 20 degrees. */
function affines(tilt: number): Affine[] {
  const permutations = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  return permutations.flatMap((permutation, first) =>
    Array.from({ length: 8 }, (_, flips) => {
      const lean = noise(9, 8 * first + flips + 1).map((value) => tilt * (value - 0.5));
      const rows = [0, 1, 2].map((row) => [
        ...[0, 1, 2].map((column) => {
          const main = permutation[column] === row ? (flips & (1 << column) ? -1 : 1) : 0;
          return (main + (lean[3 * row + column] ?? 0)) * ([2, 1.5, 3][column] ?? 1);
        }),
        7 * row - 5,
      ]);
      return [...rows, [0, 0, 0, 1]];
    }),
  );
}

describe("orientation", () => {
  it("turns the axes as nibabel does", async (t) => {
    const dir = await tempDir(t);
    const shape: Triple = [4, 5, 3];
    const label = classNoise(shape);
    await writeFile(join(dir, "label"), new Uint8Array(label.buffer));
    const codes = ["RAS", "LPS", "SAR", "PIL", "IRP"];
    const cases = [...affines(0), ...affines(0.7)];
    const reference = `
import json, sys, numpy as np
from nibabel import orientations as o
folder, shape, codes, affines = sys.argv[1], *map(json.loads, sys.argv[2:])
label = np.fromfile(f"{folder}/label", "<f4").reshape(shape, order="F")
def turned(affine, code):
    transform = o.ornt_transform(o.io_orientation(affine), o.axcodes2ornt(code))
    out = o.apply_orientation(label, transform)
    return {"shape": out.shape, "values": out.ravel(order="C").tolist()}
json.dump([{"codes": "".join(o.aff2axcodes(np.array(a))), "turned": [turned(np.array(a), c) for c in codes]} for a in affines], sys.stdout)
`;
    const expected = python(reference, dir, ...[shape, codes, cases].map((value) => JSON.stringify(value))) as {
      codes: string;
      turned: { shape: Triple; values: number[] }[];
    }[];
    for (const [index, affine] of cases.entries()) {
      assert.equal(orientationOf(affine), expected[index]?.codes);
      for (const [at, orientation] of codes.entries()) {
        const { label: turned, shape: found } = labelOnGrid(
          volume(label, shape, affine),
          recipe({ orientation, fit: "pad-or-crop" }),
        );
        assert.deepEqual({ shape: found.slice(1), values: [...turned] }, expected[index]?.turned[at]);
      }
    }
    assert.equal(new Set(expected.map((each) => each.codes)).size, 48);
  });

  it("turns voxels of float64, as scaled integers are read, alike", () => {
    const shape: Triple = [4, 5, 3];
    const values = noise(size(shape));
    const fields = recipe({ orientation: "SPL", fit: "pad-or-crop" });
    assert.deepEqual(
      imageOnGrid({ ...volume(values, shape), data: Float64Array.from(values) }, fields),
      imageOnGrid(volume(values, shape), fields),
    );
  });

  it("refuses a singular affine and codes that are none", () => {
    const flat = AFFINE.map((row, index) => (index === 2 ? [0, 0, 0, 1] : row));
    assert.equal(orientationOf(flat), null);
    assert.throws(
      () => preprocessLabel(volume(new Float32Array(64), [4, 4, 4], flat), recipe({ orientation: "RAS" })),
      failure("DATA_INVALID", "volume.nii", "singular", "RAS"),
    );
    for (const orientation of ["", "RA", "RASR", "RAR", "RLS", "XYZ", "ras"])
      assert.throws(() => recipe({ orientation }), /such as RAS/);
  });
});

describe("the grid and the fit", () => {
  it("agree with TensorFlow: channels, orientation, cut, spacing, standardisation, padding and cropping", async (t) => {
    const dir = await tempDir(t);
    const [oblique = AFFINE] = affines(0.5).slice(-3);
    const base = { modalities: ["two", "zero"], channels: [2, 0], fit: "pad-or-crop" };
    const cases: { shape: Triple; affine: Affine; fields: object; to: Triple; spaced: Triple }[] = [
      {
        shape: [9, 10, 8],
        affine: AFFINE,
        fields: { ...base, shape: [12, 7, 8] },
        to: [12, 7, 8],
        spaced: [9, 10, 8],
      },
      {
        shape: [9, 10, 8],
        affine: oblique,
        fields: { ...base, orientation: "LPS", spacing: [1.3, 2.7, 3.1], shape: [16, 5, 9] },
        to: [16, 5, 9],
        spaced: [0, 0, 0],
      },
      {
        shape: [6, 5, 155],
        affine: AFFINE,
        fields: {
          ...base,
          cut: { depth: 155, start: 2, stop: 154 },
          orientation: "LAI",
          spacing: [1.3, 2.7, 4],
          shape: [5, 8, 16],
        },
        to: [5, 8, 16],
        spaced: [9, 3, 114],
      },
      {
        shape: [9, 10, 8],
        affine: AFFINE,
        fields: { ...base, fit: "resize", spacing: [3, 3, 3], shape: [7, 7, 7] },
        to: [7, 7, 7],
        spaced: [6, 5, 8],
      },
    ];
    const sources = cases.map(({ shape }, index) => ({
      image: noise(3 * size(shape), index + 1).map((value) => 1000 * value),
      label: classNoise(shape, index + 9),
    }));
    for (const [index, { image, label }] of sources.entries()) {
      await writeFile(join(dir, `${index}.image`), new Uint8Array(image.buffer));
      await writeFile(join(dir, `${index}.label`), new Uint8Array(label.buffer));
    }
    const reference = `
import json, sys, numpy as np, tensorflow as tf
from nibabel import orientations as o
folder, cases = sys.argv[1], json.loads(sys.argv[2])
def resize(x, to, method):
    x = tf.image.resize(x, to[:2], method=method).numpy()
    return tf.image.resize(x.transpose(0, 2, 1), [to[0], to[2]], method=method).numpy().transpose(0, 2, 1)
def fit(x, to):
    for axis, side in enumerate(to):
        n = x.shape[axis]
        low = abs(side - n) // 2
        if side < n: x = x.take(range(low, low + side), axis)
        else: x = np.pad(x, [(low, side - n - low) if a == axis else (0, 0) for a in range(3)])
    return x
shapes = []
for i, case in enumerate(cases):
    fields, affine, source = case["fields"], np.array(case["affine"]), case["shape"]
    image = np.fromfile(f"{folder}/{i}.image", "<f4").reshape([*source, 3], order="F")
    label = np.fromfile(f"{folder}/{i}.label", "<f4").reshape(source, order="F")
    zooms = np.sqrt((affine[:3, :3] ** 2).sum(0))
    turn = o.ornt_transform(o.io_orientation(affine), o.axcodes2ornt(fields.get("orientation", o.aff2axcodes(affine))))
    zooms = zooms[np.argsort(turn[:, 0])]
    def steps(x, method):
        x = o.apply_orientation(x, turn)
        if "cut" in fields: x = x[:, :, 2:-1]
        to = [max(1, int(np.floor(n * d / s + 0.5))) for n, d, s in zip(x.shape, zooms, fields.get("spacing", zooms))]
        x = resize(x, to, method)
        return (resize(x, fields["shape"], method) if fields["fit"] == "resize" else x), to
    out = []
    for c in fields["channels"]:
        x, to = steps(image[..., c], "bilinear")
        out.append(fit(tf.image.per_image_standardization(x[None]).numpy()[0], fields["shape"]))
    np.stack(out).astype("<f4").tofile(f"{folder}/{i}.image.out")
    fit(steps(label, "nearest")[0], fields["shape"]).astype("<f4").tofile(f"{folder}/{i}.label.out")
    shapes.append(to)
json.dump(shapes, sys.stdout)
`;
    const spaced = python(reference, dir, JSON.stringify(cases)) as number[][];
    for (const [index, { shape, affine, fields, to, spaced: known }] of cases.entries()) {
      const { image, label } = sources[index] ?? assert.fail();
      const read = async (name: string) =>
        new Float32Array(new Uint8Array(await readFile(join(dir, `${index}.${name}.out`))).buffer);
      const source = volume(image, [...shape, 3], affine);
      assert.deepEqual(shapeBeforeFit(source, recipe(fields)), spaced[index]);
      if (known[0] > 0) assert.deepEqual(spaced[index], known);
      const ours = preprocessImage(source, recipe(fields));
      assert.deepEqual(ours.shape, [2, ...to]);
      const theirs = await read("image");
      assert.equal(ours.image.length, theirs.length);
      const worst = theirs.reduce(
        (most, value, at) => Math.max(most, Math.abs(value - (ours.image[at] ?? Number.NaN))),
        0,
      );
      assert.ok(worst < 1e-5, `case ${index}: ${worst}`);
      assert.deepEqual(preprocessLabel(volume(label, shape, affine), recipe(fields)).label, await read("label"));
    }
  });

  it("keeps all of a volume on the grid, whatever the fit", () => {
    const image = noise(2 * 3 * 4);
    const fields = { fit: "pad-or-crop", shape: [4, 2, 2] };
    const whole = imageOnGrid(volume(image, [2, 3, 4]), recipe(fields));
    assert.deepEqual(whole.shape, [1, 2, 3, 4]);
    const fitted = preprocessImage(volume(image, [2, 3, 4]), recipe(fields)).image;
    for (let x = 0; x < 4; x++) {
      for (let y = 0; y < 2; y++) {
        for (let z = 0; z < 2; z++) {
          const inside = x === 1 || x === 2;
          const expected = inside ? whole.image[((x - 1) * 3 + y) * 4 + z + 1] : 0;
          assert.equal(fitted[(x * 2 + y) * 2 + z], expected);
        }
      }
    }
  });

  it("has one voxel at the least along each axis", () => {
    assert.deepEqual(
      shapeBeforeFit(volume(new Float32Array(24), [2, 3, 4]), recipe({ spacing: [100, 100, 2.4] })),
      [1, 1, 5],
    );
  });

  it("refuses an image without the channels that are taken, and a recipe whose channels have no names", () => {
    const source = volume(new Float32Array(128), [4, 4, 4, 2]);
    assert.throws(
      () => preprocessImage(source, recipe({ modalities: ["a", "flair"], channels: [0, 2] })),
      failure("DATA_INVALID", "volume.nii", "has 2 channels (shape 4 x 4 x 4 x 2)", "flair", "channel 2"),
    );
    assert.throws(() => recipe({ modalities: ["a", "b"], channels: [0] }), /one channel for each of the modalities/);
  });
});

describe("there and back", () => {
  it("is exact where nothing is resampled", () => {
    const shape: Triple = [5, 6, 7];
    const label = classNoise(shape);
    const expected = Uint8Array.from(label);
    for (const affine of affines(0.6)) {
      const source = volume(label, shape, affine);
      const fields = recipe({ orientation: "RAS", fit: "pad-or-crop", shape: [8, 8, 8] });
      const { label: onGrid } = labelOnGrid(source, fields);
      const oneHot = Float32Array.from({ length: 8 * onGrid.length }, (_, at) =>
        onGrid[Math.floor(at / 8)] === at % 8 ? 0.9 : 0.1,
      );
      assert.deepEqual(restoreSegmentation(oneHot, source, fields).segmentation, expected);
    }
  });

  it("brings a ball back from another orientation, spacing and cut", () => {
    const shape: Triple = [30, 26, 155];
    const ball = new Float32Array(size(shape));
    for (let at = 0; at < ball.length; at++) {
      const [x, y, z] = [at % 30, Math.floor(at / 30) % 26, Math.floor(at / 780)];
      ball[at] = Math.hypot((x - 12) * 2, (y - 14) * 1.5, (z - 60) * 3) < 16 ? 1 : 0;
    }
    const labels = { mode: "binary", classes: { 0: "background", 1: "ball" } };
    const cut = { depth: 155, start: 2, stop: 154 };
    for (const fields of [
      { spacing: [1, 1, 1], fit: "pad-or-crop" },
      { spacing: [2.5, 2.5, 2.5], orientation: "LPI", cut, fit: "pad-or-crop" },
      { spacing: [2, 2, 2], orientation: "SRA", shape: [64, 32, 32] },
    ]) {
      const of = recipe({ ...fields, labels });
      for (const affine of affines(0).slice(0, 8)) {
        const source = volume(ball, shape, affine);
        const { segmentation: back } = restoreSegmentation(labelOnGrid(source, of).label, source, of);
        let [both, sum] = [0, 0];
        for (const [at, value] of ball.entries()) {
          both += value * (back[at] ?? 0);
          sum += value + (back[at] ?? 0);
        }
        assert.ok((2 * both) / sum > 0.9, `${JSON.stringify(fields)}: Dice ${(2 * both) / sum}`);
      }
    }
  });

  it("gives slices that were cut off the probability that is asked for, at the side where they were", () => {
    const shape: Triple = [3, 2, 155];
    const of = recipe({ cut: { depth: 155, start: 2, stop: 154 }, orientation: "RAI", fit: "pad-or-crop" });
    const source = volume(new Float32Array(size(shape)), shape);
    const ones = new Float32Array(3 * 2 * 152).fill(1);
    // The affine's z runs upwards: turned, the first two slices are the last two of the file.
    const slices = (values: Float32Array) => Array.from({ length: 155 }, (_, z) => values[6 * z]);
    const middle = Array.from({ length: 152 }, () => 1);
    assert.deepEqual(slices(restoreProbabilities(ones, source, of)), [0, ...middle, 0, 0]);
    assert.deepEqual(slices(restoreProbabilities(ones, source, of, 0.5)), [0.5, ...middle, 0.5, 0.5]);
  });
});
