/** With `memory: low` gradients are the same to the last bit: what is computed, and from what, does not change. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { experimentSchema } from "../../src/config/index.ts";
import { initialState, lossAndGradient, unet } from "../../src/model/index.ts";
import { compile, flatten, loadTensorFlow } from "../../src/tensorflow/index.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;
// The layers of a GPU, run on the CPU.
const withGpu = { ...runtime, devices: [{ name: "/device:GPU:0", type: "GPU" }] };

for (const [layers, where] of [
  [runtime, "a CPU"],
  [withGpu, "a GPU"],
] as const) {
  for (const norm of ["batch", "instance"]) {
    test(`memory: low, ${norm} norm, the layers of ${where}`, () => {
      const before = tf.memory().numTensors;
      const experiment = experimentSchema.parse({
        name: "memory",
        data: { dir: "." },
        model: { norm, filters: 4, depth: 2, activation: "leaky_relu" },
      });
      const { train, model } = experiment;
      const images = tf.randomNormal([2, 8, 8, 16, 2], 0, 1, "float32", 3) as Tensor5D;
      const truth = tf.tidy(() => images.slice([0, 0, 0, 0, 0], [2, 8, 8, 16, 1]).greater(1).toFloat() as Tensor5D);
      const seed = tf.tensor1d([1, 0], "int32");
      const state = initialState(runtime, unet(runtime, model, 2, 1), train);
      const gradientOf = (memory: "normal" | "low"): Float32Array => {
        const network = unet(layers, model, 2, 1, memory);
        const step = compile(
          runtime,
          { name: "gradient" },
          (input: { batch: typeof batch; seed: Tensor1D; state: typeof weights }) => {
            const made = lossAndGradient(runtime, network, train, input.state, input.batch, input.seed);
            return { gradient: made.gradient, rest: [made.loss, made.dice, made.statistics] };
          },
        );
        const result = step({ batch, seed, state: weights });
        const values = Float32Array.from(result.gradient.dataSync());
        tf.dispose([result.gradient, ...result.rest]);
        step.dispose();
        return values;
      };
      const batch = { images, truth };
      const weights = { parameters: state.parameters, statistics: state.statistics };
      const normal = gradientOf("normal");
      assert.ok(normal.some((value) => value !== 0));
      assert.deepEqual(gradientOf("low"), normal);
      tf.dispose([images, truth, seed, ...flatten(state)]);
      assert.equal(tf.memory().numTensors, before, "no tensor is left");
    });
  }
}
