/** The example of docs/data-formats.md: a model folder in Keras 3 gives the probabilities that distmis gives. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { type ExperimentInput, experimentSchema } from "../../src/config/index.ts";
import {
  initialParameters,
  initialState,
  type Network,
  predictionStep,
  stateValues,
  unet,
  writeCheckpoint,
} from "../../src/model/index.ts";
import { exportModel } from "../../src/model-folder/index.ts";
import { flatten, loadTensorFlow } from "../../src/tensorflow/index.ts";
import { repositoryRoot, testPython } from "../support/python.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;

interface Case {
  title: string;
  outputs: number;
  /** X, Y, Z, C */
  shape: [number, number, number, number];
  model: ExperimentInput["model"];
}

const cases: Case[] = [
  { title: "the default: batch norm", outputs: 1, shape: [16, 8, 24, 4], model: { filters: 4 } },
  {
    title: "group norm, kernel 5, 3 classes",
    outputs: 3,
    shape: [12, 8, 4, 2],
    model: { norm: "group", groups: 2, kernel: 5, depth: 2, filters: 4 },
  },
  {
    title: "instance norm, leaky relu, nearest upsampling, residual, 4 classes",
    outputs: 4,
    shape: [8, 12, 8, 1],
    model: {
      norm: "instance",
      activation: "leaky_relu",
      negative_slope: 0.2,
      upsampling: "nearest",
      residual: true,
      depth: 2,
      filters: 6,
    },
  },
  {
    title: "no norm, kernel 1, residual, dropout",
    outputs: 1,
    shape: [4, 2, 6, 3],
    model: { norm: "none", kernel: 1, residual: true, dropout: 0.3, depth: 1, filters: 4, initial_deviation: 0.6 },
  },
  {
    title: "batch norm, nearest upsampling, leaky relu, 2 classes",
    outputs: 2,
    shape: [8, 8, 8, 2],
    model: { upsampling: "nearest", activation: "leaky_relu", depth: 3, filters: 3 },
  },
];

let root = "";
const folderOf = (index: number) => path.join(root, "cases", String(index));
const expected: Float32Array[] = [];

/** Weights off their initial 0 and 1, so that a mistake in the use of one shows. */
function noisy(specs: Network["parameters"], seed: number): Float32Array {
  return tf.tidy(() => {
    const base = initialParameters(tf, specs, seed);
    const noise = tf.randomUniform(base.shape, -0.12, 0.12, "float32", seed);
    return Float32Array.from((base.size === 0 ? base : base.add(noise)).dataSync() as Float32Array);
  });
}

async function writeCase({ outputs, shape, model: given }: Case, dir: string): Promise<Float32Array> {
  const { model, train } = experimentSchema.parse({
    name: "keras",
    data: { dir: "unused" },
    model: { initial_deviation: 0.3, ...given },
  });
  const network = unet(runtime, model, shape[3], outputs);
  const state = initialState(runtime, network, train);
  const { slots } = stateValues(state);
  tf.dispose(flatten(state));
  const stored = { parameters: noisy(network.parameters, 1), statistics: noisy(network.statistics, 2), slots };
  fs.mkdirSync(dir, { recursive: true });
  const checkpoint = path.join(root, "checkpoint.safetensors");
  await writeCheckpoint(checkpoint, network, stored, {
    format: 1,
    model,
    train,
    channels: shape[3],
    outputs,
    epoch: 1,
    step: 1,
    metrics: {},
    best: null,
    preprocessing: null,
    versions: {},
  });
  await exportModel({ checkpoint, output: path.join(dir, "model") });

  const images = tf.randomNormal([1, ...shape], 0, 1, "float32", 3) as Tensor5D;
  const [parameters, statistics] = [tf.tensor1d(stored.parameters), tf.tensor1d(stored.statistics, "float32")];
  const step = predictionStep(runtime, network);
  const probabilities = step({ parameters, statistics, images });
  const volume = Float32Array.from(images.dataSync() as Float32Array);
  fs.writeFileSync(path.join(dir, "volume.bin"), new Uint8Array(volume.buffer));
  fs.writeFileSync(path.join(dir, "shape"), shape.join(" "));
  const values = Float32Array.from(probabilities.dataSync() as Float32Array);
  step.dispose();
  tf.dispose([images, parameters, statistics, probabilities]);
  return values;
}

before(async () => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-folder-"));
  for (const [index, own] of cases.entries()) expected.push(await writeCase(own, folderOf(index)));
  const docs = fs.readFileSync(path.join(repositoryRoot, "docs/data-formats.md"), "utf8");
  const [example, ...others] = [...docs.matchAll(/^```python\n(.*?)^```$/gms)].map(([, code = ""]) => code);
  assert.ok(example && others.length === 0, "one Python example");
  assert.ok(example.split("\n").length < 85, "it is short");
  const file = path.join(root, "keras_model.py");
  fs.writeFileSync(file, example);
  const runner = path.join(repositoryRoot, "test/model-folder/keras_run.py");
  execFileSync(testPython, [runner, file, path.join(root, "cases")], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 240_000,
  });
});
after(() => fs.rmSync(root, { recursive: true, force: true }));

for (const [index, { title, outputs, shape }] of cases.entries()) {
  test(`Keras gives the same probabilities: ${title}`, () => {
    const dir = folderOf(index);
    assert.equal(fs.readFileSync(path.join(dir, "result.shape"), "utf8"), [...shape.slice(0, 3), outputs].join(" "));
    const bytes = fs.readFileSync(path.join(dir, "result.bin"));
    const found = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const ours = expected[index] ?? new Float32Array();
    assert.equal(found.length, ours.length);
    const worst = found.reduce((most, value, at) => Math.max(most, Math.abs(value - (ours[at] ?? 9))), 0);
    assert.ok(worst < 1e-4, `off by ${worst}`);
    const [least, most] = [Math.min(...ours), Math.max(...ours)];
    assert.ok(most - least > 0.2, `probabilities from ${least} to ${most} say little`);
  });
}
