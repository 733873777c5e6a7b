/** From a run, a trial or a file to segmentations. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { experimentSchema } from "../../src/config/index.ts";
import { type Preprocessing, preprocessingSchema } from "../../src/data/index.ts";
import { ensemble, findCheckpoint, loadModel, predict, predictFile } from "../../src/inference/index.ts";
import { initialState, stateValues, unet, writeCheckpoint } from "../../src/model/index.ts";
import { readNifti } from "../../src/nifti/index.ts";
import { makePhantom } from "../../src/phantom/index.ts";
import { flatten, loadTensorFlow } from "../../src/tensorflow/index.ts";

let dir = "";
let run = "";
let checkpoint = "";
const runtime = loadTensorFlow({ threads: 2 });

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-predict-"));
  run = path.join(dir, "run");
  checkpoint = path.join(run, "trials/0002/checkpoints/best.safetensors");
  fs.mkdirSync(path.dirname(checkpoint), { recursive: true });
  await makePhantom({ targetDir: path.join(dir, "msd"), count: 3, shape: [20, 16, 12], modalities: 2 });
  await writeModel(checkpoint, 1);
  const rows = [
    { trial: "0002", best: { checkpoint: "checkpoints/best.safetensors" } },
    { trial: "0001", best: null },
  ];
  fs.writeFileSync(path.join(run, "results.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
});

const BINARY: Preprocessing = preprocessingSchema.parse({
  version: 1,
  modalities: ["a", "b"],
  cut: null,
  shape: [16, 16, 16],
  resize: "tf-half-pixel",
  standardisation: "per-modality",
  labels: { mode: "binary", classes: { 0: "background", 1: "lesion" } },
});
const MULTICLASS: Preprocessing = {
  ...BINARY,
  labels: { mode: "multiclass", classes: { 0: "background", 1: "edema", 3: "core" } },
};

/** An untrained network with the weights of a seed. */
async function writeModel(file: string, seed: number, preprocessing = BINARY, outputs = 1): Promise<void> {
  const { model, train } = experimentSchema.parse({
    name: "t",
    data: { dir: "." },
    model: { filters: 2, depth: 1, groups: 1 },
    train: { seed },
  });
  const network = unet(runtime, model, 2, outputs);
  const state = initialState(runtime, network, train);
  await writeCheckpoint(file, network, stateValues(state), {
    format: 1,
    model,
    train,
    channels: 2,
    outputs,
    epoch: 1,
    step: 1,
    metrics: {},
    best: null,
    preprocessing,
    versions: {},
  });
  runtime.tf.dispose(flatten(state));
}

after(() => fs.rmSync(dir, { recursive: true, force: true }));

test("a run, its best trial and the file itself mean the same checkpoint", async () => {
  for (const place of [run, path.join(run, "trials/0002"), checkpoint])
    assert.equal(await findCheckpoint(place), checkpoint);
  await assert.rejects(findCheckpoint(path.join(dir, "msd")), {
    code: "FILE_UNUSABLE",
    message: /msd: neither a checkpoint/,
  });
});

test("each image of a folder gets a mask of its name on its own grid", async () => {
  const output = path.join(dir, "masks");
  const images = path.join(dir, "msd/imagesTr");
  const written: string[] = [];
  for await (const file of predict({ model: run, inputs: [images], outputDir: output, threads: 2 }))
    written.push(file.output);
  assert.equal(written.length, 3);
  for (const file of written) {
    const [mask, image] = [await readNifti(file), await readNifti(path.join(images, path.basename(file)))];
    assert.deepEqual(mask.shape, [20, 16, 12]);
    assert.deepEqual(mask.affine, image.affine);
    assert.equal(mask.datatype, "uint8");
    assert.ok(mask.data.every((value) => value === 0 || value === 1));
  }
  assert.equal(runtime.tf.memory().numTensors, 0);
});

test("two images of one name, and none at all, are refused before anything is computed", async () => {
  const image = path.join(dir, "msd/imagesTr", fs.readdirSync(path.join(dir, "msd/imagesTr"))[0] ?? "");
  const other = path.join(dir, "other", path.basename(image));
  fs.mkdirSync(path.dirname(other));
  fs.copyFileSync(image, other);
  const run2 = (inputs: string[]) =>
    predict({ model: run, inputs, outputDir: path.join(dir, "out"), threads: 2 }).next();
  await assert.rejects(run2([image, other]), { code: "USAGE", message: /would both be written/ });
  await assert.rejects(run2([path.join(dir, "nowhere")]), {
    code: "FILE_UNUSABLE",
    message: /nowhere: does not exist/,
  });
  await assert.rejects(run2([path.join(run, "trials")]), { code: "FILE_UNUSABLE", message: /holds no \.nii/ });
});

test("several classes: probabilities that sum to 1, and the values of the label files in the file", async () => {
  const file = path.join(dir, "multi.safetensors");
  await writeModel(file, 1, MULTICLASS, 3);
  const model = await loadModel(runtime, file);
  try {
    const input = Float32Array.from({ length: 2 * 16 ** 3 }, (_, at) => Math.sin(at * at));
    const probabilities = model.probabilities(input, [16, 16, 16, 2]);
    assert.equal(probabilities.length, 3 * 16 ** 3);
    for (let at = 0; at < probabilities.length; at += 3) {
      const [a = 0, b = 0, c = 0] = probabilities.subarray(at, at + 3);
      assert.ok(Math.abs(a + b + c - 1) < 1e-5 && Math.min(a, b, c) >= 0);
    }
    const name = fs.readdirSync(path.join(dir, "msd/imagesTr"))[0] ?? "";
    const [image, label] = ["imagesTr", "labelsTr"].map((folder) => path.join(dir, "msd", folder, name));
    const output = path.join(dir, "classes");
    fs.mkdirSync(output);
    const { file: written, dice } = await predictFile(ensemble([model]), image ?? "", output, {
      labelFile: label ?? "",
    });
    const segmentation = await readNifti(written);
    const source = await readNifti(image ?? "");
    assert.deepEqual([segmentation.shape, segmentation.affine], [[20, 16, 12], source.affine]);
    assert.equal(segmentation.datatype, "uint8");
    const values = new Set(segmentation.data);
    assert.ok(values.size > 1 && [...values].every((value) => [0, 1, 3].includes(value)), [...values].join());
    // Dice of each class by definition.
    const truth = (await readNifti(label ?? "")).data;
    const expected = [1, 3].map((value) => {
      const count = (test: (at: number) => boolean) => [...truth.keys()].filter(test).length;
      const [inTruth, predicted] = [count((at) => truth[at] === value), count((at) => segmentation.data[at] === value)];
      const common = count((at) => truth[at] === value && segmentation.data[at] === value);
      return inTruth + predicted === 0 ? 1 : (2 * common) / (inTruth + predicted);
    });
    const [edema = 0, core = 0] = expected;
    assert.deepEqual(dice, { mean: (edema + core) / 2, classes: { 1: edema, 3: core } });
  } finally {
    model.dispose();
  }
  assert.equal(runtime.tf.memory().numTensors, 0);
});

test("several models predict by the mean of their probabilities, if they see alike", async () => {
  const files = ["one", "two", "three"].map((name) => path.join(dir, `${name}.safetensors`));
  const [one = "", two = "", three = ""] = files;
  await writeModel(one, 1, MULTICLASS, 3);
  await writeModel(two, 2, MULTICLASS, 3);
  await writeModel(three, 3, { ...MULTICLASS, shape: [16, 16, 8] }, 3);
  const models = await Promise.all(files.map((file) => loadModel(runtime, file)));
  try {
    const input = Float32Array.from({ length: 2 * 16 ** 3 }, (_, at) => Math.cos(at * at));
    const [a, b] = models.map((model) => model.probabilities(input, [16, 16, 16, 2]));
    const channelsFirst = Float32Array.from(
      { length: input.length },
      (_, at) => input[2 * (at % 4096) + Math.floor(at / 4096)] ?? 0,
    );
    const both = await ensemble(models.slice(0, 2)).probabilities({ image: channelsFirst, shape: [2, 16, 16, 16] });
    const worst = both.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - ((a?.[at] ?? 9) + (b?.[at] ?? 9)) / 2)),
      0,
    );
    assert.ok(worst < 1e-6, `${worst}`);
    assert.throws(() => ensemble(models), {
      code: "DATA_INVALID",
      message:
        /one\.safetensors and .*three\.safetensors can't predict together.*"shape": \[16,16,16\] and \[16,16,8\]/,
    });
  } finally {
    for (const model of models) model.dispose();
  }
  const options = { model: [one, two], inputs: [path.join(dir, "msd/imagesTr")], outputDir: path.join(dir, "mean") };
  const written: string[] = [];
  for await (const { output } of predict({ ...options, threads: 2 })) written.push(output);
  assert.equal(written.length, 3);
  await assert.rejects(predict({ ...options, model: [one, checkpoint], threads: 2 }).next(), {
    code: "DATA_INVALID",
    message: /"labels"/,
  });
  await writeModel(three, 3, BINARY, 3);
  await assert.rejects(predict({ ...options, model: three, threads: 2 }).next(), {
    code: "DATA_INVALID",
    message: /three\.safetensors: the network has 3 outputs, expected 1 for its binary labels/,
  });
  assert.equal(runtime.tf.memory().numTensors, 0);
});
