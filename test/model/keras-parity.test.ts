/** Forward pass, gradients, moving statistics and ten optimiser steps against Keras 3 on the same TensorFlow. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import type { Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { type Experiment, experimentSchema } from "../../src/config/index.ts";
import {
  initialParameters,
  initialState,
  lossAndGradient,
  type ModelState,
  type Network,
  trainingStep,
  unet,
} from "../../src/model/index.ts";
import { compile, flatten, loadTensorFlow } from "../../src/tensorflow/index.ts";
import { repositoryRoot, testPython } from "../support/python.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;
const STEPS = 10;
const SHAPE: [number, number, number, number, number] = [2, 16, 24, 16, 2];

interface Reference {
  loss: number;
  losses: number[];
  logits: Float32Array;
  gradient: Float32Array;
  moved: Float32Array;
}

function reference(experiment: Experiment, network: Network, files: Record<string, Float32Array>): Reference {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-keras-"));
  try {
    for (const [name, values] of Object.entries(files)) {
      fs.writeFileSync(
        path.join(dir, `${name}.bin`),
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      );
    }
    const { model, train } = experiment;
    const { parameters, statistics } = network;
    fs.writeFileSync(
      path.join(dir, "case.json"),
      JSON.stringify({
        shape: SHAPE,
        steps: STEPS,
        model,
        train,
        parameters,
        statistics,
      }),
    );
    execFileSync(testPython, [path.join(repositoryRoot, "test/model/keras_reference.py"), dir], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const read = (name: string) => {
      const bytes = fs.readFileSync(path.join(dir, `${name}.bin`));
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    };
    const result = JSON.parse(fs.readFileSync(path.join(dir, "result.json"), "utf8"));
    return {
      ...result,
      logits: read("logits"),
      gradient: read("gradient"),
      moved: read("moved"),
    };
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

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

const cases = [
  { norm: "batch", amsgrad: true, depth: 3, kernel: 3, deviation: 0.2, rate: 2e-3 },
  { norm: "group", amsgrad: false, depth: 2, kernel: 3, deviation: 0.2, rate: 2e-3 },
  { norm: "none", amsgrad: true, depth: 1, kernel: 5, deviation: 0.05, rate: 2e-3 },
] as const;

for (const { norm, amsgrad, depth, kernel, deviation, rate } of cases) {
  test(`the network with norm ${norm}, depth ${depth} and kernel ${kernel} agrees with Keras`, () => {
    const experiment = experimentSchema.parse({
      name: "parity",
      data: { dir: "unused" },
      model: {
        norm,
        depth,
        kernel,
        filters: 4,
        groups: 2,
        initial_deviation: deviation,
      },
      train: { amsgrad, learning_rate: rate, beta2: 0.99 },
    });
    const network = unet(runtime, experiment.model, SHAPE[4], 1);
    const before = tf.memory().numTensors;
    const images = tf.randomNormal(SHAPE, 0, 1, "float32", 7) as Tensor5D;
    const truth = tf.tidy(
      () =>
        tf
          .randomUniform([...SHAPE.slice(0, 4), 1], 0, 1, "float32", 8)
          .less(0.2)
          .toFloat() as Tensor5D,
    );
    // Scales, offsets and statistics off their initial 1 and 0, so that a mistake in their use shows.
    const noisy = (specs: Network["parameters"], seed: number) =>
      tf.tidy(() => {
        const base = initialParameters(tf, specs, seed);
        return base.size === 0
          ? base
          : (base.add(tf.randomUniform(base.shape, -0.1, 0.1, "float32", seed)) as Tensor1D);
      });
    const initial = initialState(runtime, network, experiment.train);
    const parameters = noisy(network.parameters, 11);
    const statistics = noisy(network.statistics, 12);
    initial.parameters.dispose();
    initial.statistics.dispose();
    const values = (tensor: { dataSync(): unknown }) => Float32Array.from(tensor.dataSync() as Float32Array);
    const expected = reference(experiment, network, {
      images: values(images),
      truth: values(truth),
      parameters: values(parameters),
      statistics: values(statistics),
    });

    const inference = compile(
      runtime,
      { name: "inference" },
      (input: { p: Tensor1D; s: Tensor1D; x: Tensor5D }) => network.apply(input.p, input.s, input.x, null).logits,
    );
    const logits = inference({ p: parameters, s: statistics, x: images });
    assert.ok(difference(logits.dataSync(), expected.logits) < 1e-4, "logits in inference");
    logits.dispose();
    inference.dispose();

    const batch = { images, truth };
    const seed = tf.tensor1d([1, 0], "int32");
    const eager = lossAndGradient(runtime, network, experiment.train.loss, { parameters, statistics }, batch, seed);
    assert.ok(Math.abs((eager.loss.dataSync()[0] as number) - expected.loss) < 1e-4 * expected.loss, "loss");
    assertEachClose(network, values(eager.gradient), expected.gradient);
    assert.ok(difference(eager.statistics.dataSync(), expected.moved) < 1e-4, "moving statistics");
    tf.dispose([eager.loss, eager.dice, eager.gradient, eager.statistics]);

    const step = trainingStep(runtime, network, experiment.train);
    let state: ModelState = { parameters, statistics, slots: initial.slots };
    const losses: number[] = [];
    for (let index = 1; index <= STEPS; index++) {
      const [learningRate, count] = [tf.scalar(experiment.train.learning_rate), tf.scalar(index)];
      const result = step({ state, batch, learningRate, step: count, seed });
      losses.push(result.loss.dataSync()[0] as number);
      tf.dispose([...flatten(state), learningRate, count, result.loss, result.dice]);
      state = result.state;
    }
    assert.equal(step.signatures, 1);
    step.dispose();
    for (const [index, loss] of losses.entries()) {
      const reached = expected.losses[index] as number;
      assert.ok(Math.abs(loss - reached) < 1e-3 * reached, `loss of step ${index + 1}: ${loss}, Keras ${reached}`);
    }
    assert.ok((losses.at(-1) as number) < (losses[0] as number), "the loss falls");
    tf.dispose([...flatten(state), images, truth, seed]);
    assert.equal(tf.memory().numTensors, before, "no tensor is left");
  });
}
