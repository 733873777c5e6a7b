/** Forward pass, gradients, moving statistics and ten optimiser steps against Keras 3 on the same TensorFlow. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { type Experiment, type ExperimentInput, experimentSchema } from "../../src/config/index.ts";
import {
  initialParameters,
  initialSlots,
  initialState,
  learningRateAt,
  lossAndGradient,
  type ModelState,
  type Network,
  type OptimizerUpdate,
  optimize,
  trainingStep,
  unet,
} from "../../src/model/index.ts";
import { compile, flatten, loadTensorFlow, type TensorFlow } from "../../src/tensorflow/index.ts";
import { repositoryRoot, testPython } from "../support/python.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;
/** As if there were a GPU: the network is then made of TensorFlow's operations alone, which run here all the same. */
const withGpu: TensorFlow = { ...runtime, devices: [...runtime.devices, { name: "none", type: "GPU" }] };
const STEPS = 10;
/** Length of the gradients on which the optimiser is tried by itself. */
const GIVEN = 50;
const SMALL: Shape = [2, 8, 12, 8, 2];
const LARGE: Shape = [2, 16, 24, 16, 2];

type Shape = [number, number, number, number, number];

const withChannels = ([n, x, y, z]: Shape, channels: number): Shape => [n, x, y, z, channels];

interface Case {
  title: string;
  shape: Shape;
  /** Logits a voxel. */
  outputs: number;
  model: ExperimentInput["model"];
  train: ExperimentInput["train"];
}

const cases: Case[] = [
  {
    title: "batch norm, depth 3, Adam with AMSGrad",
    shape: LARGE,
    outputs: 1,
    model: { norm: "batch", depth: 3 },
    train: { amsgrad: true },
  },
  {
    title: "group norm, depth 2, Adam",
    shape: LARGE,
    outputs: 1,
    model: { norm: "group", depth: 2 },
    train: {},
  },
  {
    title: "no norm, kernel 5, depth 1",
    shape: LARGE,
    outputs: 1,
    model: { norm: "none", depth: 1, kernel: 5, initial_deviation: 0.05 },
    train: { amsgrad: true },
  },
  {
    title:
      "instance norm, leaky relu, nearest upsampling, residual, 3 classes, Dice + cross entropy, SGD with Nesterov, clipped",
    shape: SMALL,
    outputs: 3,
    model: { norm: "instance", filters: 8, depth: 2, activation: "leaky_relu", upsampling: "nearest", residual: true },
    train: { loss: "dice_ce", optimizer: "sgd", nesterov: true, learning_rate: 1e-2, clip_norm: 0.5 },
  },
  {
    title: "batch norm, nearest upsampling, leaky relu, Dice + cross entropy, AdamW, cosine after a warm-up",
    shape: SMALL,
    outputs: 1,
    model: { norm: "batch", depth: 2, activation: "leaky_relu", negative_slope: 0.2, upsampling: "nearest" },
    train: {
      loss: "dice_ce",
      optimizer: "adamw",
      weight_decay: 0.1,
      schedule: "cosine",
      epochs: 5,
      warmup_epochs: 1.5,
      learning_rate: 5e-3,
    },
  },
  {
    title: "group norm, residual, 4 classes, Dice, Adam, clipped, polynomial",
    shape: SMALL,
    outputs: 4,
    model: { norm: "group", depth: 1, groups: 4, residual: true },
    train: { clip_norm: 0.01, schedule: "polynomial", epochs: 5 },
  },
  {
    title: "no norm, leaky relu, residual, SGD with momentum",
    shape: SMALL,
    outputs: 1,
    model: { norm: "none", depth: 2, activation: "leaky_relu", residual: true, initial_deviation: 0.1 },
    train: { optimizer: "sgd", momentum: 0.8, learning_rate: 1e-2 },
  },
  {
    title: "batch norm, kernel 1, residual, 3 classes, SGD without momentum",
    shape: SMALL,
    outputs: 3,
    model: { norm: "batch", depth: 1, kernel: 1, residual: true },
    train: { loss: "dice_ce", optimizer: "sgd", momentum: 0, learning_rate: 1e-2 },
  },
  {
    title: "instance norm, dropout, AdamW with AMSGrad",
    shape: SMALL,
    outputs: 1,
    model: { norm: "instance", depth: 1, dropout: 0.25 },
    train: { optimizer: "adamw", amsgrad: true },
  },
  {
    title: "batch norm, residual, dropout, 3 classes",
    shape: SMALL,
    outputs: 3,
    model: { norm: "batch", depth: 2, residual: true, dropout: 0.3, activation: "leaky_relu" },
    train: { loss: "dice_ce", seed: 5 },
  },
];

interface Prepared extends Case {
  experiment: Experiment;
  network: Network;
  inputs: Record<"images" | "truth" | "parameters" | "statistics" | "given", Float32Array>;
}

const values = (tensor: { dataSync(): unknown }) => Float32Array.from(tensor.dataSync() as Float32Array);

function prepare(own: Case): Prepared {
  const { shape, outputs } = own;
  const experiment = experimentSchema.parse({
    name: "parity",
    data: { dir: "unused" },
    model: { filters: 4, groups: 2, initial_deviation: 0.2, ...own.model },
    train: { learning_rate: 2e-3, beta2: 0.99, ...own.train },
  });
  const network = unet(runtime, experiment.model, shape[4], outputs);
  // Scales, offsets and statistics off their initial 1 and 0, so that a mistake in their use shows.
  const noisy = (specs: Network["parameters"], seed: number) => {
    const base = initialParameters(tf, specs, seed);
    return base.size === 0 ? base : base.add(tf.randomUniform(base.shape, -0.1, 0.1, "float32", seed));
  };
  const inputs: Prepared["inputs"] = {
    images: EMPTY,
    truth: EMPTY,
    parameters: EMPTY,
    statistics: EMPTY,
    given: EMPTY,
  };
  tf.tidy(() => {
    const uniform = tf.randomUniform(withChannels(shape, 1), 0, 1, "float32", 8);
    // A fifth of the voxels is foreground, its classes alike.
    const truth = uniform.mul(5 * Math.max(1, outputs - 1)).floor();
    inputs.images = values(tf.randomNormal(shape, 0, 1, "float32", 7));
    inputs.truth = values(tf.where(truth.less(Math.max(1, outputs - 1)), truth.add(1), tf.zerosLike(truth)));
    inputs.parameters = values(noisy(network.parameters, 11));
    inputs.statistics = values(noisy(network.statistics, 12));
    inputs.given = values(tf.randomNormal([STEPS, GIVEN], 0, 1, "float32", 13));
  });
  return { ...own, experiment, network, inputs };
}

const EMPTY = new Float32Array();

interface Reference {
  loss: number;
  losses: number[];
  rates: number[];
}

let folder = "";
const caseFolder = (index: number) => path.join(folder, String(index).padStart(3, "0"));
const read = (index: number, name: string) => {
  const bytes = fs.readFileSync(path.join(caseFolder(index), `${name}.bin`));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
};
const prepared = cases.map(prepare);

// One Python for all of them: its start takes longer than they do.
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-keras-"));
  for (const [index, { shape, outputs, experiment, network, inputs }] of prepared.entries()) {
    const dir = caseFolder(index);
    fs.mkdirSync(dir);
    for (const [name, { buffer, byteOffset, byteLength }] of Object.entries(inputs)) {
      fs.writeFileSync(path.join(dir, `${name}.bin`), new Uint8Array(buffer, byteOffset, byteLength));
    }
    const { model, train } = experiment;
    const { parameters, statistics } = network;
    const text = JSON.stringify({ shape, outputs, steps: STEPS, model, train, parameters, statistics });
    fs.writeFileSync(path.join(dir, "case.json"), text);
  }
  const script = path.join(repositoryRoot, "test/model/keras_reference.py");
  execFileSync(testPython, [script, folder], { stdio: ["ignore", "ignore", "pipe"], timeout: 300_000 });
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Largest difference, relative to the largest value. */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let error = 0;
  let scale = 1e-12;
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs((actual[i] as number) - (expected[i] as number)));
    scale = Math.max(scale, Math.abs(expected[i] as number));
  }
  return error / scale;
}

/** Checks each parameter for itself, so that a small gradient does not hide behind a large one. */
function assertEachClose(network: Network, actual: Float32Array, expected: Float32Array): void {
  let offset = 0;
  for (const { name, shape } of network.parameters) {
    const size = shape.reduce((a, b) => a * b, 1);
    const error = difference(actual.subarray(offset, offset + size), expected.subarray(offset, offset + size));
    assert.ok(error < 1e-4, `gradient of ${name} is off by ${error}`);
    offset += size;
  }
}

for (const [index, { title, experiment, inputs }] of prepared.entries()) {
  test(`the optimiser alone agrees with Keras: ${title}`, () => {
    const { train } = experiment;
    const initial = inputs.parameters.subarray(0, GIVEN);
    const moved = tf.tidy(() => {
      let update: OptimizerUpdate = {
        parameters: tf.tensor1d(initial, "float32"),
        slots: initialSlots(tf, train, GIVEN),
      };
      for (let at = 0; at < STEPS; at++) {
        const gradient = tf.tensor1d(inputs.given.subarray(at * GIVEN, (at + 1) * GIVEN), "float32");
        const [rate, count] = [tf.scalar(learningRateAt(train, at, STEPS)), tf.scalar(at + 1)];
        update = optimize(tf, train, update.parameters, gradient, update.slots, rate, count);
      }
      return values(update.parameters).map((value, at) => value - (initial[at] as number));
    });
    const expected = read(index, "optimized").map((value, at) => value - (initial[at] as number));
    const off = difference(moved, expected);
    assert.ok(off < 1e-4, `the way of ten steps is off by ${off}`);
  });
}

for (const [index, { title, shape, experiment, network, inputs }] of prepared.entries()) {
  test(`the network agrees with Keras: ${title}`, () => {
    const { train } = experiment;
    const expected: Reference = JSON.parse(fs.readFileSync(path.join(caseFolder(index), "result.json"), "utf8"));
    const before = tf.memory().numTensors;
    const images = tf.tensor5d(inputs.images, shape);
    const truth = tf.tensor5d(inputs.truth, withChannels(shape, 1));
    const parameters = tf.tensor1d(inputs.parameters, "float32");
    const statistics = tf.tensor1d(inputs.statistics, "float32");

    const inference = compile(
      runtime,
      { name: "inference" },
      (input: { p: Tensor1D; s: Tensor1D; x: Tensor5D }) => network.apply(input.p, input.s, input.x, null).logits,
    );
    const logits = inference({ p: parameters, s: statistics, x: images });
    const logitsOff = difference(logits.dataSync(), read(index, "logits"));
    assert.ok(logitsOff < 1e-4, `logits in inference are off by ${logitsOff}`);
    logits.dispose();
    inference.dispose();

    const batch = { images, truth };
    const first = tf.tensor1d([train.seed, 0], "int32");
    const elsewhere = unet(withGpu, experiment.model, shape[4], network.outputs);
    for (const own of [network, elsewhere]) {
      const eager = lossAndGradient(runtime, own, train, { parameters, statistics }, batch, first);
      const loss = eager.loss.dataSync()[0] as number;
      assert.ok(Math.abs(loss - expected.loss) < 1e-4 * expected.loss, `loss ${loss}, Keras ${expected.loss}`);
      assertEachClose(own, values(eager.gradient), read(index, "gradient"));
      assert.ok(difference(eager.statistics.dataSync(), read(index, "moved")) < 1e-4, "moving statistics");
      tf.dispose([eager.loss, eager.dice, eager.gradient, eager.statistics]);
    }
    first.dispose();

    const step = trainingStep(runtime, network, train);
    const initial = initialState(runtime, network, train);
    tf.dispose([initial.parameters, initial.statistics]);
    let state: ModelState = { parameters, statistics, slots: initial.slots };
    const losses: number[] = [];
    for (let at = 0; at < STEPS; at++) {
      const rate = learningRateAt(train, at, STEPS);
      const rateExpected = expected.rates[at] as number;
      assert.ok(Math.abs(rate - rateExpected) <= 1e-6 * train.learning_rate, `rate ${rate}, Keras ${rateExpected}`);
      const [learningRate, count] = [tf.scalar(rate), tf.scalar(at + 1)];
      const seed = tf.tensor1d([train.seed, at], "int32");
      const result = step({ state, batch, learningRate, step: count, seed });
      losses.push(result.loss.dataSync()[0] as number);
      tf.dispose([...flatten(state), learningRate, count, seed, result.loss, result.dice]);
      state = result.state;
    }
    assert.equal(step.signatures, 1);
    step.dispose();
    for (const [at, reachedByUs] of losses.entries()) {
      const reached = expected.losses[at] as number;
      assert.ok(
        Math.abs(reachedByUs - reached) < 1e-3 * reached,
        `loss of step ${at + 1}: ${reachedByUs}, Keras ${reached}`,
      );
    }
    if (experiment.model.dropout === 0) assert.ok((losses.at(-1) as number) < (losses[0] as number), "the loss falls");
    tf.dispose([...flatten(state), images, truth]);
    assert.equal(tf.memory().numTensors, before, "no tensor is left");
  });
}
