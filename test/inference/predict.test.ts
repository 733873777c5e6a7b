/** From a run, a trial or a file to segmentations. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { experimentSchema } from "../../src/config/index.ts";
import { makePhantom, type Preprocessing, readNifti } from "../../src/data/index.ts";
import { findCheckpoint, predict } from "../../src/inference/index.ts";
import { initialState, stateValues, unet, writeCheckpoint } from "../../src/model/index.ts";
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
  const { model, train } = experimentSchema.parse({
    name: "t",
    data: { dir: "." },
    model: { filters: 2, depth: 1, groups: 1 },
  });
  const network = unet(runtime, model, 2, 1);
  const state = initialState(runtime, network, train);
  const preprocessing: Preprocessing = {
    version: 1,
    modalities: ["a", "b"],
    cut: null,
    shape: [16, 16, 16],
    resize: "tf-half-pixel",
    standardisation: "per-modality",
    labels: { mode: "binary", classes: { 0: "background", 1: "lesion" } },
  };
  await writeCheckpoint(checkpoint, network, stateValues(state), {
    format: 1,
    model,
    train,
    channels: 2,
    outputs: 1,
    epoch: 1,
    step: 1,
    metrics: {},
    best: null,
    preprocessing,
    versions: {},
  });
  runtime.tf.dispose(flatten(state));
  const rows = [
    { trial: "0002", best: { checkpoint: "checkpoints/best.safetensors" } },
    { trial: "0001", best: null },
  ];
  fs.writeFileSync(path.join(run, "results.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
});

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
