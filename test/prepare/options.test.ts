/** What the options make of a data set. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { augment, withPreset } from "../../src/augment/index.ts";
import { augmentationSchema } from "../../src/config/index.ts";
import type { Volume } from "../../src/data/index.ts";
import { writeNifti } from "../../src/nifti/index.ts";
import { failure, noise } from "../data/helpers.ts";
import { all, images, type Options, prepared, same } from "./prepared.ts";

describe("seed", () => {
  it("shuffles the list before it is cut, the same way each time, and folds are of the shuffled list", async (t) => {
    const { write } = await prepared(t, { shapes: same(12, 8, 8, 8) });
    const of = async (options: Options) => {
      const { own } = await write({ split: [0.5, 0.25, 0.25], ...options });
      return [images(own, "train"), images(own, "valid"), images(own, "test")];
    };
    const [plain, first, again, other] = [
      await of({}),
      await of({ seed: 1 }),
      await of({ seed: 1 }),
      await of({ seed: 2 }),
    ];
    assert.deepEqual(
      plain.flat(),
      Array.from({ length: 12 }, (_, index) => String(index)),
    );
    assert.deepEqual(first, again);
    assert.notDeepEqual(first, plain);
    assert.notDeepEqual(first, other);
    assert.deepEqual(first.flat().sort(), plain.flat().sort());
    const tested = [];
    for (const index of [1, 2, 3]) tested.push((await of({ seed: 1, fold: { index, of: 3 } }))[2]);
    const list = first.flat();
    assert.deepEqual(
      tested,
      [0, 1, 2].map((start) => list.filter((_, index) => index % 3 === start)),
    );
    await assert.rejects(write({ seed: -1 }), failure("USAGE", "--seed -1"));
  });
});

describe("modalities", () => {
  it("are picked by name or number, in the order that is asked for", async (t) => {
    const { write } = await prepared(t, { shapes: same(1, 8, 8, 8), modalities: 3 });
    const whole = await write({ split: [1, 0, 0] });
    const picked = await write({ split: [1, 0, 0], modalities: ["M2", "0"] });
    assert.deepEqual(
      [picked.own.modalities, picked.own.image_shape],
      [
        ["m2", "m0"],
        [2, 8, 8, 8],
      ],
    );
    const [from] = await all(whole.dir, "train");
    const [to] = await all(picked.dir, "train");
    const channel = (volume: Volume | undefined, index: number) =>
      volume?.image.filter((_, at) => at % (volume.imageShape[3] ?? 1) === index);
    assert.deepEqual(channel(to, 0), channel(from, 2));
    assert.deepEqual(channel(to, 1), channel(from, 0));
    for (const [modalities, message] of [
      [["T9"], "there is no T9; the data set has 0: m0, 1: m1, 2: m2"],
      [["3"], "there is no 3"],
      [["m1", "1"], "m1 is named twice"],
    ] as const)
      await assert.rejects(write({ modalities }), failure("USAGE", "--modalities", message));
  });
});

describe("shape", () => {
  it("is padded up to what the network divides, and the cut of 155 slices is for the default alone", async (t) => {
    const { write } = await prepared(t, { shapes: same(1, 10, 8, 155) });
    const plain = await write({ split: [1, 0, 0] });
    assert.deepEqual([plain.own.image_shape, plain.own.preprocessing.fit], [[1, 16, 8, 152], "pad-or-crop"]);
    assert.match(plain.notes.join(), /10 x 8 x 152 are padded to 16 x 8 x 152, .* multiples of 8; --divisor/);
    const shape = async (options: Options) => (await write({ split: [1, 0, 0], ...options })).own.image_shape.slice(1);
    assert.deepEqual(await shape({ divisor: 1 }), [10, 8, 152]);
    assert.deepEqual(await shape({ divisor: 4 }), [12, 8, 152]);
    assert.deepEqual(await shape({ padOrCrop: "auto" }), [16, 8, 160]);
    assert.deepEqual(await shape({ reshape: [10, 9, 7] }), [10, 9, 7]);
    const given = await write({ split: [1, 0, 0], padOrCrop: [20, 4, 150] });
    assert.deepEqual(given.own.image_shape, [1, 24, 8, 152]);
    assert.match(given.notes.join(), /--pad-or-crop of 20 x 4 x 150 is rounded up to 24 x 8 x 152/);
    await assert.rejects(
      write({ reshape: [8, 8, 8], padOrCrop: "auto" }),
      failure("USAGE", "--reshape and --pad-or-crop", "one by resizing, the other by padding"),
    );
    await assert.rejects(write({ padOrCrop: [8, 0, 8] }), failure("USAGE", "--pad-or-crop 8,0,8"));
    await assert.rejects(write({ orientation: "RAX" }), failure("USAGE", "--orientation RAX", "for example RAS"));
    await assert.rejects(write({ resample: [1, 0, 1] }), failure("USAGE", "--resample 1,0,1"));
  });

  it("follows from orientation and spacing, whose median and largest are chosen over all volumes", async (t) => {
    const { sourceDir, write } = await prepared(t, {
      shapes: [
        [8, 8, 8],
        [8, 8, 8],
        [8, 8, 8],
      ],
    });
    // Edges of 2, 1.5, 3 mm as stored; the last volume's first axis runs from foot to head.
    const affine = [
      [0, -1, 0, 0],
      [0, 0, 4, 0],
      [6, 0, 0, 0],
      [0, 0, 0, 1],
    ];
    await writeNifti(join(sourceDir, "imagesTr/case_2.nii.gz"), { data: noise(1000), shape: [5, 20, 10], affine });
    await writeNifti(join(sourceDir, "labelsTr/case_2.nii.gz"), {
      data: new Uint8Array(1000),
      shape: [5, 20, 10],
      affine,
    });
    const options = { split: [1, 0, 0], orientation: "RAS" } as const;
    const stored = await write({ ...options, padOrCrop: "auto", divisor: 1 });
    // RAS: 20 x 10 x 5 voxels of 1 x 4 x 6 mm.
    assert.deepEqual(stored.own.image_shape, [1, 20, 10, 8]);
    assert.deepEqual(
      stored.own.samples.train.map(({ spacing }) => spacing),
      [
        [2, 1.5, 3],
        [2, 1.5, 3],
        [1, 4, 6],
      ],
    );
    assert.deepEqual(stored.own.spacing, [2, 1.5, 3]);
    const even = await write({ ...options, resample: "auto", padOrCrop: "auto", divisor: 1 });
    assert.deepEqual(even.own.preprocessing.spacing, [2, 1.5, 3]);
    // 20 mm / 2, 40 mm / 1.5 = 26.7, 30 mm / 3.
    assert.deepEqual(even.own.image_shape, [1, 10, 27, 10]);
    const given = await write({ ...options, resample: [1, 2, 3], reshape: "auto" });
    assert.deepEqual(given.own.preprocessing.spacing, [1, 2, 3]);
    // Medians of 16, 16, 20; 6, 6, 20; 8, 8, 10.
    assert.deepEqual(given.own.image_shape, [1, 16, 8, 8]);
    assert.deepEqual(given.own.samples.train[0]?.spacing, [1, 1.5, 3]);
    await assert.rejects(
      write(options),
      failure("DATA_INVALID", "case_0.nii.gz is 8 x 8 x 8", "case_2.nii.gz is 20 x 10 x 5", "--pad-or-crop auto"),
    );
  });
});

describe("copies", () => {
  it("follow each training volume, as training's own augmentation would make them, and count as samples", async (t) => {
    const { write } = await prepared(t, { shapes: same(20, 8, 8, 8), modalities: 2 });
    const plain = await write({ split: [0.9, 0.1, 0] });
    const given = { flip: { probability: 0.5, axes: ["x", "z"] }, intensity: { probability: 1 } };
    const augmentation = augmentationSchema.parse(given);
    const copied = await write({ split: [0.9, 0.1, 0], augment: 2, augmentation });
    assert.deepEqual(copied.own.options.augmentation, withPreset(augmentation));
    const volumes = await all(copied.dir, "train");
    const originals = await all(plain.dir, "train");
    assert.equal(volumes.length, 54);
    assert.equal((await all(copied.dir, "valid")).length, 2);
    for (const [index, volume] of volumes.entries()) {
      const sample = copied.own.samples.train[index];
      const place = plain.own.samples.train.findIndex(({ image }) => image.path === sample?.image.path);
      const original = originals[place];
      const { copy = 0 } = sample ?? {};
      assert.equal(copy, index % 3);
      if (original === undefined) throw new Error("no original");
      // Its place in the split, before the split was dealt out to files.
      const position = Number(images(plain.own, "train")[place]);
      const wanted = copy === 0 ? original : augment({ ...original, index: position }, augmentation, 0, copy);
      assert.deepEqual([volume.image, volume.label], [wanted.image, wanted.label]);
    }
  });

  it("are DistMIS's unless told otherwise, and refused with a crop", async (t) => {
    const { write } = await prepared(t, { shapes: same(2, 8, 8, 8) });
    const { own } = await write({ augment: 1, seed: 4 });
    assert.deepEqual(own.options.augmentation, withPreset({ preset: "distmis" }));
    const crop = augmentationSchema.parse({ crop: { shape: [4, 4, 4] } });
    await assert.rejects(write({ augment: 1, augmentation: crop }), failure("USAGE", "--augmentation", "crop"));
    await assert.rejects(write({ augmentation: {} }), failure("USAGE", "--augment COPIES"));
    await assert.rejects(write({ augment: 1.5 }), failure("USAGE", "--augment 1.5"));
  });
});
