import assert from "node:assert/strict";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Picture, visualize } from "../../src/picture/index.ts";
import { writeTfrecords } from "../../src/prepare/index.ts";
import { failure, tempDir, tinyDataset } from "../data/helpers.ts";
import { cropped, readPng } from "./pictures.ts";

/** 24 volumes: 17 for training in 16 files, so that one file holds two; 3 and 4 for the others. */
const COUNT = 24;
/** Sides that no network needs padded. */
const SHAPE = [8, 16, 24] as const;

async function dataSet(t: Parameters<typeof tempDir>[0], labels: "binary" | "multiclass" = "multiclass") {
  const dir = await tempDir(t);
  const source = await tinyDataset(join(dir, "source"), {
    shapes: Array(COUNT).fill(SHAPE),
    modalities: 2,
    classes: [0, 2, 7],
  });
  const target = join(dir, "records");
  await writeTfrecords({ sourceDir: source, targetDir: target, labels, workers: 1, split: [17 / 24, 3 / 24, 4 / 24] });
  return { dir, source, target };
}

async function panels(picture: Picture): Promise<string[][][]> {
  const png = await readPng(picture.file);
  return picture.panels.flat().map((box) => cropped(png, box));
}

const sourceOf = (source: string, index: number) => ({
  image: join(source, `imagesTr/case_${index}.nii.gz`),
  label: join(source, `labelsTr/case_${index}.nii.gz`),
});

/** Greys may differ by a rounding, as the record's are standardised; colours may not. */
function assertAlike(actual: string[][][], expected: string[][][]): void {
  assert.equal(actual.length, expected.length);
  const isGrey = (colour: string): boolean =>
    colour.slice(1, 3) === colour.slice(3, 5) && colour.slice(3, 5) === colour.slice(5);
  for (const [index, panel] of actual.entries()) {
    assert.equal(panel.length, expected[index]?.length);
    for (const [y, row] of panel.entries()) {
      for (const [x, colour] of row.entries()) {
        const other = expected[index]?.[y]?.[x] ?? "";
        const near =
          isGrey(colour) &&
          isGrey(other) &&
          Math.abs(Number.parseInt(colour.slice(1, 3), 16) - Number.parseInt(other.slice(1, 3), 16)) <= 3;
        assert.ok(colour === other || near, `panel ${index} at ${x}, ${y}: ${colour} and ${other}`);
      }
    }
  }
}

describe("a sample of a data set", () => {
  it("is drawn as its source, with spacing, orientation and the names of dataset.json", async (t) => {
    const { dir, source, target } = await dataSet(t);
    const sample = await visualize({ datasetDir: target, sample: 1, slice: [2, 3, 4], output: join(dir, "a.png") });
    const nifti = await visualize({ ...sourceOf(source, 16), slice: [2, 3, 4], output: join(dir, "b.png") });
    // Sample 1 is the second record of the first file, since the samples are dealt to 16 files in turn.
    assertAlike(await panels(sample), await panels(nifti));
    assert.deepEqual([sample.spacing_mm, sample.orientation], [[2, 1.5, 3], "LAS"]);
    assert.deepEqual(
      sample.modalities.map(({ name }) => name),
      ["m0", "m1"],
    );
    assert.deepEqual(sample.labels, nifti.labels);
    assert.deepEqual(
      sample.labels.map(({ value, name }) => `${value} ${name}`),
      ["2 two"],
    );
  });

  it("is counted over train, valid and test, or within a split", async (t) => {
    const { dir, source, target } = await dataSet(t);
    const draw = async (options: { sample: number; split?: "train" | "valid" | "test" }) =>
      panels(await visualize({ datasetDir: target, ...options, slice: "auto", output: join(dir, "a.png") }));
    for (const [whole, split, within, index] of [
      [0, "train", 0, 0],
      [16, "train", 16, 15],
      [17, "valid", 0, 17],
      [19, "valid", 2, 19],
      [20, "test", 0, 20],
      [23, "test", 3, 23],
    ] as const) {
      const drawn = await draw({ sample: whole });
      assert.deepEqual(drawn, await draw({ sample: within, split }), `sample ${whole}`);
      const nifti = await visualize({ ...sourceOf(source, index), slice: "auto", output: join(dir, "b.png") });
      assertAlike(drawn, await panels(nifti));
    }
    const refused = (options: { sample: number; split?: "test" }, ...parts: string[]) =>
      assert.rejects(visualize({ datasetDir: target, ...options }), failure("USAGE", ...parts));
    await refused({ sample: 24 }, "--sample 24", "24 samples", "0 to 23");
    await refused({ sample: -1 }, "0 to 23");
    await refused({ sample: 0.5 }, "0 to 23");
    await refused({ sample: 4, split: "test" }, "test split", "4 samples", "0 to 3");
  });

  it("is read without the records before it; its own checksum is verified", async (t) => {
    const { dir, target } = await dataSet(t);
    const file = await open(join(target, "train_0.tfrecord"), "r+");
    await file.write(Buffer.from([1, 2, 3]), 0, 3, 500);
    await file.close();
    const options = { datasetDir: target, slice: "auto", output: join(dir, "a.png") } as const;
    await visualize({ ...options, sample: 1 });
    await assert.rejects(
      visualize({ ...options, sample: 0 }),
      failure("DATA_INVALID", "train_0.tfrecord", "byte 0", "checksum"),
    );
  });

  it("says its shape itself: another --data-shape is refused", async (t) => {
    const { dir, target } = await dataSet(t);
    const options = { datasetDir: target, sample: 3, frames: 1, output: join(dir, "a.gif") };
    const picture = await visualize({ ...options, dataShape: [8, 16, 24] });
    assert.deepEqual(picture.shape, [8, 16, 24]);
    await assert.rejects(
      visualize({ ...options, dataShape: [240, 240, 152] }),
      failure("USAGE", "240,240,152", "8 x 16 x 24"),
    );
  });

  it("of DistMIS's own data set is drawn as stored", async (t) => {
    const { dir, target } = await dataSet(t, "binary");
    const info = JSON.parse(await readFile(join(target, "info.json"), "utf8"));
    delete info.distmis;
    await writeFile(join(target, "info.json"), JSON.stringify(info));
    const picture = await visualize({ datasetDir: target, sample: 5, slice: "auto", output: join(dir, "a.png") });
    assert.deepEqual([picture.orientation, picture.convention, picture.spacing_mm], [null, "as stored", null]);
    assert.deepEqual(
      picture.modalities.map(({ name }) => name),
      ["channel 0", "channel 1"],
    );
    assert.deepEqual(
      picture.labels.map(({ value }) => value),
      [1],
    );
    assert.match(picture.notes.join(), /spacing is unknown.*orientation is unknown/);
    await assert.rejects(
      visualize({ datasetDir: target, sample: 5, prediction: "p.nii.gz" }),
      failure("USAGE", "--prediction p.nii.gz", "info.json"),
    );
  });

  it("with a prediction is drawn on its source's grid; sources that are gone are named", async (t) => {
    const { dir, source, target } = await dataSet(t, "binary");
    const { image, label } = sourceOf(source, 20);
    const options = {
      datasetDir: target,
      sample: 20,
      prediction: label,
      slice: "auto",
      output: join(dir, "a.png"),
    } as const;
    const picture = await visualize(options);
    const direct = await visualize({
      image,
      label,
      prediction: label,
      merge: true,
      slice: "auto",
      output: join(dir, "b.png"),
    });
    assert.deepEqual(await panels(picture), await panels(direct));
    assert.deepEqual(
      picture.labels.map(({ of, value }) => `${of} ${value}`),
      ["truth 1", "prediction 1"],
    );
    await rm(image);
    await assert.rejects(visualize(options), failure("FILE_UNUSABLE", image, "sample 20"));
    const without = await visualize({ datasetDir: target, sample: 20, slice: "auto", output: join(dir, "c.png") });
    assert.match(without.notes.join(), /case_20\.nii\.gz: there is no such file: orientation is unknown/);
  });
});
