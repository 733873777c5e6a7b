/** Pairs that can't be used as they are: refused, skipped or repaired. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { writeNifti } from "../../src/nifti/index.ts";
import { writeTfrecords } from "../../src/prepare/index.ts";
import { AFFINE, failure, noise } from "../data/helpers.ts";
import { all, images, prepared, same } from "./prepared.ts";

describe("bad pairs", () => {
  it("are skipped, whether headers or voxels show them, whatever the number of threads", async (t) => {
    const { sourceDir, write } = await prepared(t, { shapes: same(10, 8, 8, 8) });
    const cut = noise(512);
    cut[3] = Number.NaN;
    await writeNifti(join(sourceDir, "imagesTr/case_0.nii.gz"), { data: cut, shape: [8, 8, 8], affine: AFFINE });
    await writeFile(join(sourceDir, "imagesTr/case_1.nii.gz"), "no NIfTI");
    const label = new Float32Array(512).fill(7);
    await writeNifti(join(sourceDir, "labelsTr/case_8.nii.gz"), { data: label, shape: [8, 8, 8], affine: AFFINE });
    await writeNifti(join(sourceDir, "labelsTr/case_5.nii.gz"), {
      data: new Uint8Array(64),
      shape: [4, 4, 4],
      affine: AFFINE,
    });
    const options = { split: [0.5, 0.25, 0.25], skipBad: true, augment: 1 } as const;
    const one = await write({ ...options, workers: 1 });
    const three = await write({ ...options, workers: 3 });
    assert.deepEqual(three.own, one.own);
    assert.deepEqual(
      one.own.skipped.map(({ image, found }) => [image.replace(/\D/g, ""), found]),
      [
        ["0", "voxels"],
        ["1", "headers"],
        ["5", "headers"],
        ["8", "voxels"],
      ],
    );
    for (const [index, reason] of [
      /not finite, first NaN/,
      /case_1/,
      /one grid/,
      /label 7 .* not among the classes/,
    ].entries())
      assert.match(one.own.skipped[index]?.reason ?? "", reason);
    // Of the eight with good headers four are for training, one of which leaves a gap; the files close up.
    assert.deepEqual(
      [images(one.own, "train"), images(one.own, "valid"), images(one.own, "test")],
      [["2", "2", "3", "3", "4", "4"], ["6", "7"], ["9"]],
    );
    assert.deepEqual(
      Object.keys(one.own.files),
      ["train_0", "train_1", "train_2", "valid_0", "valid_1", "test_0"].map((name) => `${name}.tfrecord`),
    );
    assert.deepEqual([(await all(one.dir, "train")).length, (await all(one.dir, "test")).length], [6, 1]);

    const target = { sourceDir, targetDir: one.dir, ...options };
    assert.equal((await writeTfrecords(target)).status, "up-to-date");
    await assert.rejects(writeTfrecords({ ...target, skipBad: false }), failure("DATA_INVALID", "case_1.nii.gz"));
    const good = new Uint8Array(512);
    await writeNifti(join(sourceDir, "labelsTr/case_8.nii.gz"), { data: good, shape: [8, 8, 8], affine: AFFINE });
    await assert.rejects(
      writeTfrecords(target),
      failure("FILE_UNUSABLE", "case_8.nii.gz, which was skipped and has changed since"),
    );
  });

  it("are refused where none is left for training", async (t) => {
    const { sourceDir, write } = await prepared(t, { shapes: same(2, 8, 8, 8) });
    const data = new Float32Array(512).fill(Number.NaN);
    await writeNifti(join(sourceDir, "imagesTr/case_0.nii.gz"), { data, shape: [8, 8, 8], affine: AFFINE });
    await assert.rejects(write({ skipBad: true }), failure("DATA_INVALID", "no training volume is left", "case_0"));
    for (const index of [0, 1]) await writeFile(join(sourceDir, `labelsTr/case_${index}.nii.gz`), "");
    await assert.rejects(write({ skipBad: true }), failure("DATA_INVALID", "all 2 pairs are bad", "case_0"));
  });
});

describe("repairs", () => {
  it("happen by name alone, are counted, and belong to the data set's options", async (t) => {
    const { sourceDir, write } = await prepared(t, { shapes: same(2, 8, 8, 8) });
    const data = noise(512);
    data[3] = Number.NaN;
    data[4] = Number.NEGATIVE_INFINITY;
    const label = new Float32Array(512);
    label.set([0.9, 1.2, 2], 5);
    await writeNifti(join(sourceDir, "imagesTr/case_0.nii.gz"), { data, shape: [8, 8, 8], affine: AFFINE });
    await writeNifti(join(sourceDir, "labelsTr/case_0.nii.gz"), { data: label, shape: [8, 8, 8], affine: AFFINE });
    await assert.rejects(write({}), failure("DATA_INVALID", "case_0.nii.gz", "not finite"));
    await assert.rejects(
      write({ repairNonfinite: "zero" }),
      failure("DATA_INVALID", "label 0.8", "not a whole number"),
    );
    const foreground = async (repairLabels: "round" | "background"): Promise<number> => {
      const { own, dir } = await write({ repairNonfinite: "zero", repairLabels, split: [1, 0, 0] });
      assert.deepEqual(own.repaired, { nonfinite: 2, labels: 2 });
      assert.deepEqual(
        own.samples.train.map(({ repaired }) => repaired.labels),
        [2, 0],
      );
      const [volume] = await all(dir, "train");
      return volume?.label.reduce((sum, value) => sum + value, 0) ?? 0;
    };
    assert.equal(await foreground("round"), 3);
    assert.equal(await foreground("background"), 1);
  });
});
