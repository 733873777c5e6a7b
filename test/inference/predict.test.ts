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
async function writeModel(
  file: string,
  seed: number,
  preprocessing = BINARY,
  outputs = 1,
  crop?: [number, number, number],
): Promise<void> {
  const { model, train } = experimentSchema.parse({
    name: "t",
    data: { dir: "." },
    model: { filters: 2, depth: 1, groups: 1 },
    train: { seed, ...(crop ? { augmentation: { crop: { shape: crop } } } : {}) },
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

test("two images of one name, an image in the output's place, and none at all, are refused before anything is computed", async () => {
  const image = path.join(dir, "msd/imagesTr", fs.readdirSync(path.join(dir, "msd/imagesTr"))[0] ?? "");
  const other = path.join(dir, "other", path.basename(image));
  fs.mkdirSync(path.dirname(other));
  fs.copyFileSync(image, other);
  const run2 = (inputs: string[]) =>
    predict({ model: run, inputs, outputDir: path.join(dir, "out"), threads: 2 }).next();
  await assert.rejects(run2([image, other]), { code: "USAGE", message: /would both be written/ });
  const before = fs.readFileSync(image);
  await assert.rejects(predict({ model: run, inputs: [image], outputDir: path.dirname(image), threads: 2 }).next(), {
    code: "USAGE",
    message: /its segmentation would take its place/,
  });
  assert.deepEqual(fs.readFileSync(image), before);
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

test("a model that was trained on crops sees windows of their shape, at the edges too", async () => {
  const file = path.join(dir, "crops.safetensors");
  const recipe = preprocessingSchema.parse({
    ...MULTICLASS,
    spacing: [1.5, 1.5, 3],
    fit: "pad-or-crop",
    shape: [16, 16, 16],
  });
  await writeModel(file, 5, recipe, 3, [8, 16, 12]);
  const model = await loadModel(runtime, file);
  try {
    const [x, y, z] = [13, 16, 9];
    const image = Float32Array.from({ length: 2 * x * y * z }, (_, at) => Math.sin(at * at));
    const windows: number[][] = [];
    const probabilities = await ensemble([model]).probabilities(
      { image, shape: [2, x, y, z] },
      { onWindow: (...progress) => windows.push(progress) },
    );
    assert.deepEqual(windows, [
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    assert.equal(probabilities.length, 3 * x * y * z);
    for (let at = 0; at < probabilities.length; at += 3) {
      const [a = 0, b = 0, c = 0] = probabilities.subarray(at, at + 3);
      assert.ok(Math.abs(a + b + c - 1) < 1e-5 && Math.min(a, b, c) >= 0);
    }
    // The first plane is seen by the first window alone, which has the volume's 9 slices from its slice 1 on.
    const window = new Float32Array(8 * 16 * 12 * 2);
    for (let at = 0; at < window.length; at++) {
      const [c, s, r] = [at % 2, (Math.floor(at / 2) % 12) - 1, Math.floor(at / 24)];
      window[at] = s >= 0 && s < z ? (image[(c * x * y + r) * z + s] ?? 9) : 0;
    }
    const direct = model.probabilities(window, [8, 16, 12, 2]);
    for (let row = 0; row < y; row++) {
      for (let at = 0; at < 3 * z; at++) {
        const [found, expected] = [probabilities[row * 3 * z + at] ?? 9, direct[row * 36 + 3 + at] ?? 0];
        assert.ok(Math.abs(found - expected) < 1e-6, `${row} ${at}: ${found}, ${expected}`);
      }
    }
  } finally {
    model.dispose();
  }
  assert.equal(runtime.tf.memory().numTensors, 0);
});

test("probabilities are written where asked for; what is there can be left alone", async () => {
  const outputDir = path.join(dir, "again");
  const images = path.join(dir, "msd/imagesTr");
  const names = fs.readdirSync(images).sort();
  const progress: number[] = [];
  const all = async (options: { probabilities?: boolean; skipExisting?: boolean }) => {
    const found: string[] = [];
    const run2 = predict({ model: run, inputs: [images], outputDir, threads: 2, ...options }, (done) => {
      progress.push(done);
    });
    for await (const { output, probabilities, skipped, number, total } of run2) {
      assert.deepEqual([number, total], [found.length + 1, 3]);
      assert.equal(path.basename(output), names[found.length]);
      assert.equal(probabilities === null, options.probabilities !== true);
      found.push(skipped ? "skipped" : "written");
    }
    return found.join(" ");
  };
  assert.equal(await all({ skipExisting: true }), "written written written");
  assert.ok(progress.every((done, at) => done >= (progress[at - 1] ?? 0)) && progress.at(-1) === 3, progress.join());
  fs.rmSync(path.join(outputDir, names[1] ?? ""));
  assert.equal(await all({ skipExisting: true }), "skipped written skipped");
  assert.equal(await all({}), "written written written");
  assert.equal(await all({ skipExisting: true, probabilities: true }), "written written written");
  const stem = names[1]?.replace(".nii.gz", "");
  const [mask, probabilities] = await Promise.all(
    [`${stem}.nii.gz`, `probabilities/${stem}_prob.nii.gz`].map((name) => readNifti(path.join(outputDir, name))),
  );
  assert.deepEqual([probabilities?.shape, probabilities?.datatype], [[20, 16, 12], "float32"]);
  assert.ok(mask?.data.every((value, at) => value === ((probabilities?.data[at] ?? 0) > 0.5 ? 1 : 0)));
  assert.equal(await all({ skipExisting: true, probabilities: true }), "skipped skipped skipped");
});

test("what can't be predicted is refused by its header, before the first image is", async () => {
  const inputs = fs.mkdtempSync(path.join(dir, "mixed-"));
  const [name = ""] = fs.readdirSync(path.join(dir, "msd/imagesTr"));
  fs.copyFileSync(path.join(dir, "msd/imagesTr", name), path.join(inputs, "a.nii.gz"));
  fs.copyFileSync(path.join(dir, "msd/labelsTr", name), path.join(inputs, "b.nii.gz"));
  const options = { model: run, inputs: [inputs], outputDir: path.join(dir, "none"), threads: 2 };
  await assert.rejects(predict(options).next(), {
    code: "DATA_INVALID",
    message: /b\.nii\.gz: has 1 channel \(shape 20 x 16 x 12\), expected 2: a, b/,
  });
  assert.deepEqual(fs.readdirSync(options.outputDir), []);
  for (const overlap of [1, -0.1, Number.NaN])
    await assert.rejects(predict({ ...options, overlap }).next(), { code: "USAGE", message: /--overlap/ });
  const stop = new AbortController();
  const stopped = predict({ ...options, inputs: [path.join(inputs, "a.nii.gz")], signal: stop.signal }, () =>
    stop.abort(),
  );
  await assert.rejects(stopped.next(), { code: "INTERRUPTED" });
  assert.deepEqual(fs.readdirSync(options.outputDir), []);
  assert.equal(runtime.tf.memory().numTensors, 0);
});
