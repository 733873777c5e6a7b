/** Dropout on a network of which each channel is known: kernels 0 and biases 1, so that a block's output is its mask. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rank, Tensor1D } from "@tensorflow/tfjs-node-gpu";
import { modelSchema } from "../../src/config/schema.ts";
import { type Network, unet } from "../../src/model/index.ts";
import { compile, loadTensorFlow } from "../../src/tensorflow/index.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;
const SAMPLES = 16;
const WIDTH = 64;
const RATE = 0.25;

const config = modelSchema.parse({ filters: WIDTH, depth: 1, kernel: 1, norm: "none", dropout: RATE });
const network = unet(runtime, config, 1, 1);

/** The last convolution takes the mean over the channels. */
function parametersOf({ parameters }: Network): Tensor1D {
  return tf.tidy(() =>
    tf.concat1d(
      parameters.map(({ name, shape }) => {
        const size = shape.reduce((product, side) => product * side, 1);
        const value = name === "output.kernel" ? 1 / WIDTH : /conv\d\.bias$/.test(name) ? 1 : 0;
        return tf.fill([size], value) as Tensor1D;
      }),
    ),
  );
}

test("a step drops its share of the channels, others in each sample and step, and the mean stays", () => {
  const before = tf.memory().numTensors;
  const pass = (training: boolean) =>
    compile(runtime, { name: "pass" }, ({ flat, seed }: { flat: Tensor1D; seed: Tensor1D }) => {
      const images = tf.zeros<Rank.R5>([SAMPLES, 2, 2, 2, 1]);
      return network.apply(flat, tf.tensor1d([]), images, training ? { seed } : null).logits;
    });
  const [train, infer] = [pass(true), pass(false)];
  const flat = parametersOf(network);
  const run = (step: typeof train, seed: [number, number]): Float32Array =>
    tf.tidy(() => Float32Array.from(step({ flat, seed: tf.tensor1d(seed, "int32") }).dataSync()));
  const first = run(train, [1, 0]);
  assert.deepEqual(run(train, [1, 0]), first, "the same seed, the same channels");
  assert.notDeepEqual(run(train, [1, 1]), first, "another step, other channels");
  assert.notDeepEqual(run(train, [2, 0]), first, "another seed, other channels");

  const perSample = Array.from({ length: SAMPLES }, (_, sample) => first.subarray(8 * sample, 8 * sample + 8));
  for (const voxels of perSample) {
    assert.ok(
      voxels.every((value) => value === voxels[0]),
      "whole channels",
    );
    const kept = (voxels[0] as number) * WIDTH * (1 - RATE);
    assert.ok(Math.abs(kept - Math.round(kept)) < 1e-3, `${kept} channels are kept`);
  }
  assert.ok(new Set(perSample.map((voxels) => voxels[0])).size > 3, "each sample has its own");
  // Of 16 x 64 draws: the standard deviation of the mean is 0.018.
  const mean = first.reduce((sum, value) => sum + value, 0) / first.length;
  assert.ok(Math.abs(mean - 1) < 0.08, `mean ${mean}`);
  for (const value of run(infer, [1, 0])) assert.ok(Math.abs(value - 1) < 1e-6, "inference drops nothing");
  train.dispose();
  infer.dispose();
  flat.dispose();
  assert.equal(tf.memory().numTensors, before);
});
