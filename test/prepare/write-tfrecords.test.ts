import assert from "node:assert/strict";
import { readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readInfo } from "../../src/data/index.ts";
import { infoSchema } from "../../src/data/info.ts";
import { assignSplits, splitCounts } from "../../src/data/split.ts";
import { writeNifti } from "../../src/nifti/index.ts";
import { readMsdDataset, writeTfrecords } from "../../src/prepare/index.ts";
import { AFFINE, failure, noise, tempDir, tinyDataset } from "../data/helpers.ts";
import { readSplit } from "../support/read-split.ts";

describe("splitCounts", () => {
  it("rounds train and valid down, as DistMIS, and leaves no wanted split empty", () => {
    const counts = (total: number, ...ratios: [number, number, number]) =>
      Object.values(splitCounts(total, ratios).counts);
    assert.deepEqual(counts(484, 0.7, 0.15, 0.15), [338, 72, 74]);
    assert.deepEqual(counts(200, 0.7, 0.15, 0.15), [140, 30, 30]);
    assert.deepEqual(counts(10, 0.7, 0.2, 0.1), [7, 2, 1]);
    assert.deepEqual(counts(2, 0.5, 0.5, 0), [1, 1, 0]);
    assert.deepEqual(counts(3, 0.5, 0.5, 0), [1, 2, 0]);
    assert.deepEqual(counts(3, 1, 0, 0), [3, 0, 0]);
    assert.deepEqual(counts(4, 0.7, 0.15, 0.15), [2, 1, 1]);
    assert.deepEqual(counts(2, 0.7, 0.15, 0.15), [1, 1, 0]);
    assert.deepEqual(counts(1, 0.7, 0.15, 0.15), [1, 0, 0]);
    assert.match(splitCounts(2, [0.5, 0.5, 0]).notes.join(), /test split is empty, as its ratio of 0 says/);
    assert.match(splitCounts(2, [0.7, 0.15, 0.15]).notes.join(), /don't suffice .* the test split is empty/);
    assert.match(splitCounts(4, [0.7, 0.15, 0.15]).notes.join(), /valid split takes one from/);
    assert.throws(() => splitCounts(5, [0.7, 0.2, 0.2]), failure("USAGE", "sum to 1"));
    assert.throws(() => splitCounts(5, [0, 0.5, 0.5]), failure("USAGE", "training split"));
  });
});

describe("assignSplits", () => {
  const items = Array.from({ length: 13 }, (_, index) => index);

  it("holds back each sample in exactly one fold and divides the others as the first two ratios say", () => {
    const tested: number[] = [];
    for (let index = 1; index <= 5; index++) {
      const { members, notes } = assignSplits(items, [0.6, 0.2, 0.2], { index, of: 5 });
      assert.deepEqual(notes, []);
      assert.deepEqual(
        [...members.train, ...members.valid],
        items.filter((item) => !members.test.includes(item)),
      );
      assert.equal(members.train.length, Math.floor(0.75 * (13 - members.test.length)));
      tested.push(...members.test);
    }
    assert.deepEqual(
      tested.toSorted((a, b) => a - b),
      items,
    );
    assert.deepEqual(assignSplits(items, [0.6, 0.2, 0.2], { index: 2, of: 5 }).members.test, [1, 6, 11]);
  });

  it("refuses folds that there aren't", () => {
    const fold = (index: number, of: number) => () => assignSplits(items, [0.7, 0.15, 0.15], { index, of });
    for (const [index, of] of [
      [0, 5],
      [6, 5],
      [1, 1],
    ] as const)
      assert.throws(fold(index, of), failure("USAGE", `--fold ${index}/${of}`, "K/N"));
    assert.throws(fold(1, 14), failure("USAGE", "only 13 labelled"));
  });
});

describe("readMsdDataset", () => {
  it("names what is wrong with dataset.json or the files", async (t) => {
    const dir = await tinyDataset(await tempDir(t), {
      shapes: [
        [2, 2, 2],
        [2, 2, 2],
      ],
    });
    const path = join(dir, "dataset.json");
    const good = JSON.parse(await readFile(path, "utf8"));
    assert.deepEqual((await readMsdDataset(dir)).pairs[1], {
      image: "imagesTr/case_1.nii.gz",
      label: "labelsTr/case_1.nii.gz",
    });
    const refuse = async (change: object, ...patterns: string[]): Promise<void> => {
      await writeFile(path, JSON.stringify({ ...good, ...change }));
      await assert.rejects(readMsdDataset(dir), failure("DATA_INVALID", path, ...patterns));
    };
    await refuse({ training: [] }, "training", "no labelled volumes");
    await refuse({ training: [{ image: "a" }] }, "training.0.label");
    await refuse({ training: [{ image: "../a.nii", label: "b" }] }, "../a.nii", "out of the data set");
    await refuse({ training: [{ image: "/etc/a.nii", label: "b" }] }, "out of the data set");
    await refuse({ training: [good.training[0], good.training[0]] }, "listed twice");
    await refuse({ modality: { 1: "x" } }, "modality");
    await refuse({ labels: { 1: "x" } }, "class 0");
    await writeFile(path, "{");
    await assert.rejects(readMsdDataset(dir), failure("DATA_INVALID", "not JSON"));
    await writeFile(path, JSON.stringify(good));
    await rm(join(dir, "labelsTr/case_1.nii.gz"));
    await assert.rejects(readMsdDataset(dir), failure("FILE_UNUSABLE", "labelsTr/case_1.nii.gz"));
    await assert.rejects(readMsdDataset(join(dir, "none")), failure("FILE_UNUSABLE", "dataset.json", "does not exist"));
  });
});

const files = async (dir: string): Promise<string[]> => (await readdir(dir)).sort();

describe("writeTfrecords", () => {
  it("writes DistMIS's files and records where every sample comes from, with or without threads", async (t) => {
    const dir = await tempDir(t);
    const source = await tinyDataset(join(dir, "source"), {
      shapes: Array.from({ length: 24 }, () => [8, 6, 5] as const),
      modalities: 2,
    });
    const seen: string[] = [];
    const one = await writeTfrecords(
      { sourceDir: source, targetDir: join(dir, "one"), workers: 1, divisor: 1 },
      ({ phase, done, total }) => seen.push(`${phase} ${done}/${total}`),
    );
    assert.deepEqual([seen[0], seen.at(-1), seen.length], ["check 1/24", "write 24/24", 48]);
    const two = await writeTfrecords({ sourceDir: source, targetDir: join(dir, "two"), workers: 2, divisor: 1 });
    assert.deepEqual(two.info, one.info);
    const names = await files(join(dir, "one"));
    assert.equal(names.length, 16 + 3 + 4 + 1);
    assert.deepEqual(await files(join(dir, "two")), names);
    for (const name of names)
      assert.deepEqual(await readFile(join(dir, "one", name)), await readFile(join(dir, "two", name)), name);

    const info = await readInfo(join(dir, "one"));
    const { total_size, train_size, valid_size, test_size, train_shard, valid_shard, test_shard, distmis } = info;
    assert.deepEqual(
      [total_size, train_size, valid_size, test_size, train_shard, valid_shard, test_shard],
      [24, 16, 3, 5, 16, 3, 4],
    );
    assert.deepEqual(distmis?.image_shape, [2, 8, 6, 5]);
    // 5 test samples in 4 files: the first file holds the first and the last.
    assert.deepEqual(
      distmis?.samples.test.map(({ image }) => image.path),
      [19, 23, 20, 21, 22].map((number) => `imagesTr/case_${number}.nii.gz`),
    );
    let index = 0;
    for await (const volume of readSplit(join(dir, "one"), "test")) {
      // Odd cases have class 2, even ones class 1; the intensity inside tells which source it is.
      assert.equal(volume.index, index++);
      assert.deepEqual(volume.imageShape, [8, 6, 5, 2]);
    }
    assert.equal(index, 5);
  });

  it("writes each class by its place among dataset.json's, and a fold as the test split", async (t) => {
    const dir = await tempDir(t);
    const shapes = Array.from({ length: 6 }, () => [6, 4, 8] as const);
    const sourceDir = await tinyDataset(join(dir, "source"), { shapes, classes: [0, 1, 3] });
    const options = {
      sourceDir,
      targetDir: join(dir, "out"),
      labels: "multiclass",
      fold: { index: 2, of: 3 },
    } as const;
    const { info } = await writeTfrecords(options);
    assert.deepEqual(info.distmis?.preprocessing.labels, {
      mode: "multiclass",
      classes: { 0: "background", 1: "one", 3: "class 3" },
    });
    assert.deepEqual(
      info.distmis.samples.test.map(({ image }) => image.path),
      ["imagesTr/case_1.nii.gz", "imagesTr/case_4.nii.gz"],
    );
    const values: number[][] = [];
    for await (const { label } of readSplit(join(dir, "out"), "test")) values.push([...new Set(label)].sort());
    // Case 1 holds class 3 and case 4 class 1.
    assert.deepEqual(values, [
      [0, 2],
      [0, 1],
    ]);

    assert.equal((await writeTfrecords(options)).status, "up-to-date");
    const { fold, ...whole } = options;
    await assert.rejects(writeTfrecords(whole), failure("FILE_UNUSABLE", "made with --fold 2/3, now not given"));
    await assert.rejects(
      writeTfrecords({ ...options, labels: "binary" }),
      failure("FILE_UNUSABLE", "made with --labels multiclass, now binary"),
    );
  });

  it("reads the info.json of the first version", async (t) => {
    const dir = await tempDir(t);
    const sourceDir = await tinyDataset(join(dir, "source"), { shapes: [[4, 4, 4]] });
    const options = { sourceDir, targetDir: join(dir, "out"), split: [1, 0, 0], divisor: 1 } as const;
    await writeTfrecords(options);
    const path = join(dir, "out", "info.json");
    const info = JSON.parse(await readFile(path, "utf8"));
    const { source_dir, format, name, image_shape, label_shape, modalities, classes, files } = info.distmis;
    const { version, cut, shape, resize, standardisation, labels } = info.distmis.preprocessing;
    const { image, label } = info.distmis.samples.train[0];
    const { split, reshape, divisor } = info.distmis.options;
    info.distmis = {
      ...{ source_dir, format, name, image_shape, label_shape, modalities, classes, files },
      preprocessing: { version, modalities, cut, shape, resize, standardisation, labels },
      options: { split, reshape, divisor },
      samples: { train: [{ image, label }], valid: [], test: [] },
    };
    await writeFile(path, JSON.stringify(info));
    const read = infoSchema.parse(info).distmis;
    assert.deepEqual([read?.options.labels, read?.options.fold, read?.skipped], ["binary", null, []]);
    assert.equal((await writeTfrecords(options)).status, "up-to-date");
  });

  it("says up to date, and replaces another data set only with overwrite", async (t) => {
    const dir = await tempDir(t);
    const source = await tinyDataset(join(dir, "source"), {
      shapes: Array.from({ length: 4 }, () => [4, 4, 4] as const),
    });
    const out = join(dir, "new", "out");
    const options = { sourceDir: source, targetDir: out, split: [0.5, 0.25, 0.25] as const };
    assert.equal((await writeTfrecords(options)).status, "written");
    assert.equal((await writeTfrecords(options)).status, "up-to-date");
    const image = join(source, "imagesTr/case_0.nii.gz");
    await utimes(image, new Date(), new Date(1e9));
    assert.equal((await writeTfrecords(options)).status, "up-to-date", "another time, the same content");

    await assert.rejects(
      writeTfrecords({ ...options, split: [0.5, 0.5, 0] }),
      failure("FILE_UNUSABLE", out, "--split 0.5,0.25,0.25", "--overwrite"),
    );
    const data = noise(64, 99);
    await writeNifti(image, { data, shape: [4, 4, 4], affine: AFFINE });
    await assert.rejects(
      writeTfrecords(options),
      failure("FILE_UNUSABLE", out, "imagesTr/case_0.nii.gz", "--overwrite"),
    );
    const replaced = await writeTfrecords({ ...options, split: [0.5, 0.5, 0], overwrite: true });
    assert.deepEqual(await files(out), [
      "info.json",
      "train_0.tfrecord",
      "train_1.tfrecord",
      "valid_0.tfrecord",
      "valid_1.tfrecord",
    ]);
    assert.match(replaced.notes.join(), /test split is empty/);

    await rm(join(out, "train_1.tfrecord"));
    assert.equal(
      (await writeTfrecords({ ...options, split: [0.5, 0.5, 0] })).status,
      "written",
      "a damaged copy is made whole",
    );
    await rm(join(out, "info.json"));
    await assert.rejects(writeTfrecords(options), failure("FILE_UNUSABLE", "without an info.json"));
  });

  it("needs a shape for all where they differ; auto takes the median", async (t) => {
    const dir = await tempDir(t);
    const source = await tinyDataset(join(dir, "source"), {
      shapes: [
        [10, 21, 3],
        [13, 22, 4],
        [30, 19, 5],
        [11, 23, 3],
      ],
    });
    const options = { sourceDir: source, targetDir: join(dir, "out") };
    await assert.rejects(
      writeTfrecords(options),
      failure("DATA_INVALID", "case_0.nii.gz is 10 x 21 x 3", "case_1.nii.gz is 13 x 22 x 4", "--reshape auto"),
    );
    // Medians 12, 21.5, 3.5.
    const auto = await writeTfrecords({ ...options, reshape: "auto" });
    assert.deepEqual(auto.info.distmis?.image_shape, [1, 16, 24, 8]);
    const four = await writeTfrecords({ ...options, reshape: "auto", divisor: 4, overwrite: true });
    assert.deepEqual(four.info.distmis?.image_shape, [1, 12, 20, 4]);
    const given = await writeTfrecords({ ...options, reshape: [5, 6, 7], overwrite: true });
    assert.deepEqual(given.info.distmis?.image_shape, [1, 5, 6, 7]);
    for await (const { imageShape } of readSplit(join(dir, "out"), "train")) assert.deepEqual(imageShape, [5, 6, 7, 1]);
    await assert.rejects(writeTfrecords({ ...options, reshape: [5, 0, 7] }), failure("USAGE", "--reshape 5,0,7"));
  });

  it("names both files of a pair that does not fit before it writes anything", async (t) => {
    const dir = await tempDir(t);
    const source = await tinyDataset(join(dir, "source"), {
      shapes: [
        [4, 4, 4],
        [4, 4, 4],
      ],
    });
    await writeNifti(join(source, "labelsTr/case_1.nii.gz"), {
      data: new Uint8Array(80),
      shape: [4, 4, 5],
      affine: AFFINE,
    });
    await assert.rejects(
      writeTfrecords({ sourceDir: source, targetDir: join(dir, "out") }),
      failure("DATA_INVALID", "imagesTr/case_1.nii.gz", "labelsTr/case_1.nii.gz"),
    );
  });

  it("keeps a second process out of the folder while it writes", async (t) => {
    const dir = await tempDir(t);
    const shapes = Array.from({ length: 4 }, () => [4, 4, 4] as const);
    const options = {
      sourceDir: await tinyDataset(join(dir, "source"), { shapes }),
      targetDir: join(dir, "out"),
    };
    const both = await Promise.allSettled([writeTfrecords(options), writeTfrecords(options)]);
    const refused = both.filter((result) => result.status === "rejected");
    assert.equal(refused.length, 1);
    assert.ok(
      failure("RUN_REFUSED", options.targetDir, `process ${process.pid}`, "name another folder")(refused[0]?.reason),
    );
    assert.equal((await writeTfrecords(options)).status, "up-to-date");
  });
});
