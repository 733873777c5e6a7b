/** Several classes on the whole way: label files, TFRecords, training, the task evaluate, predict and its scores. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { experimentSchema, trialConfigSchema } from "../../../src/config/index.ts";
import { loadModel } from "../../../src/inference/index.ts";
import { evaluateFolders } from "../../../src/metrics/index.ts";
import { readNifti, writeNifti } from "../../../src/nifti/index.ts";
import { makePhantom } from "../../../src/phantom/index.ts";
import { writeTfrecords } from "../../../src/prepare/index.ts";
import { loadTensorFlow } from "../../../src/tensorflow/index.ts";
import evaluateTask from "../../../src/trainer/tasks/evaluate.ts";
import trainTask from "../../../src/trainer/tasks/train.ts";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-classes-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

/** A phantom whose label files hold the values 0, 2 and 5. */
async function source(): Promise<string> {
  const msd = path.join(dir, "msd");
  await makePhantom({ targetDir: msd, count: 8, shape: [20, 24, 18], seed: 3, modalities: 2 });
  const description = path.join(msd, "dataset.json");
  const dataset = JSON.parse(fs.readFileSync(description, "utf8"));
  dataset.labels = { 0: "background", 5: "inner", 2: "outer" };
  fs.writeFileSync(description, JSON.stringify(dataset));
  for (const name of fs.readdirSync(path.join(msd, "labelsTr"))) {
    const file = path.join(msd, "labelsTr", name);
    const { data, shape, affine } = await readNifti(file);
    const values = Uint8Array.from(data, (value) => (value === 0 ? 0 : value === 1 ? 2 : 5));
    await writeNifti(file, { data: values, shape, affine });
  }
  return msd;
}

test("label values that aren't 0, 1, 2 are learned, predicted and measured as what they are", async () => {
  const sourceDir = await source();
  const targetDir = path.join(dir, "tfrecords");
  await writeTfrecords({
    sourceDir,
    targetDir,
    reshape: [16, 24, 16],
    labels: "multiclass",
    fold: { index: 1, of: 4 },
  });
  const { search, failure, ...config } = experimentSchema.parse({
    name: "classes",
    data: { dir: targetDir },
    model: { filters: 8, depth: 2, norm: "instance" },
    train: { epochs: 40, batch_size_per_replica: 1, loss: "dice_ce", learning_rate: 5e-3, seed: 1 },
  });
  const trial = (name: string, taskInput: unknown) => ({
    trialId: name,
    attempt: 1,
    config: trialConfigSchema.parse(config),
    taskInput,
    reportedEpoch: 0,
    dir: path.join(dir, name),
    rank: 0,
    replicas: 1,
    addresses: [],
    threads: 2,
    shared: new Map(),
    stopRequested: () => false,
    report: async () => {},
  });
  fs.mkdirSync(path.join(dir, "train"));
  await trainTask.run(trial("train", null));
  const checkpoint = path.join(dir, "train", "checkpoints", "best.safetensors");
  const predictions = path.join(dir, "predictions");
  const { metrics } = await evaluateTask.run(trial("measure", { checkpoint, split: "test", predictions }));

  const model = await loadModel(loadTensorFlow({ threads: 2 }), checkpoint);
  assert.equal(model.facts.outputs, 3);
  model.dispose();
  assert.equal(metrics.predictions, 2);
  const scores = await evaluateFolders({ predictions, labels: path.join(sourceDir, "labelsTr"), partial: true });
  assert.deepEqual(scores.classes, [2, 5], "the values of the label files, and both were predicted or are there");
  assert.deepEqual(
    scores.cases.map((each) => each.case),
    ["phantom_001", "phantom_005"],
    "the fold that was held back",
  );
  const { dice } = scores.mean.foreground;
  assert.ok(Math.abs((dice ?? 9) - (metrics.native_dice ?? 0)) < 1e-9, `${dice} and ${metrics.native_dice}`);
  const lines = fs.readFileSync(path.join(predictions, "scores.csv"), "utf8").trimEnd().split("\n");
  assert.equal(lines[0], "image,label,prediction,dice,dice_2,dice_5");
  assert.equal(lines.length, 3);
  // On the network's grid and on the files' own it is the same segmentation.
  assert.ok(Math.abs((metrics.dice ?? 0) - (metrics.native_dice ?? 9)) < 0.1, JSON.stringify(metrics));
  assert.ok((metrics.native_dice ?? 0) > 0.4, `it learned: ${JSON.stringify(metrics)}`);
});
