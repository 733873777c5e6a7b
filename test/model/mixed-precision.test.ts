/** Training in 16-bit types against the same in float32. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import type { Tensor, Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { type ExperimentInput, modelSchema, trainSchema } from "../../src/config/index.ts";
import {
  type Batch,
  evaluationStep,
  initialState,
  lossAndGradient,
  type ModelState,
  readCheckpoint,
  stateTensors,
  stateValues,
  trainingStep,
  unet,
  writeCheckpoint,
} from "../../src/model/index.ts";
import { type Attribute, compile, flatten, loadTensorFlow, type TensorFlow } from "../../src/tensorflow/index.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;
/** As if there were a GPU: without the kernels of native/. */
const withGpu: TensorFlow = { ...runtime, devices: [...runtime.devices, { name: "none", type: "GPU" }] };
const SHAPE: [number, number, number, number, number] = [2, 16, 24, 16, 2];
const STEPS = 10;
const PRECISIONS = ["float32", "bfloat16", "float16"] as const;
type Precision = (typeof PRECISIONS)[number];

const models: { title: string; outputs: number; model: ExperimentInput["model"]; loss: "dice" | "dice_ce" }[] = [
  { title: "batch norm, transposed convolutions", outputs: 1, model: { norm: "batch" }, loss: "dice" },
  {
    title: "instance norm, residual, nearest upsampling, leaky relu, 3 classes",
    outputs: 3,
    model: { norm: "instance", residual: true, upsampling: "nearest", activation: "leaky_relu" },
    loss: "dice_ce",
  },
];

const values = (tensor: { dataSync(): unknown }) => Float32Array.from(tensor.dataSync() as Float32Array);
const length = (vector: Float32Array) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
const distance = (a: Float32Array, b: Float32Array) => length(a.map((value, at) => value - (b[at] as number)));

/** Each value with the 8 bits of bfloat16's significand. */
function rounded<T extends Tensor>(tensor: T): T {
  const bits = new Uint32Array(values(tensor).buffer).map((value) => (value + 0x8000) & 0xffff0000);
  return tf.tensor(new Float32Array(bits.buffer), tensor.shape) as T;
}

/** Foreground where the first channel is high. */
function batchOf(outputs: number): Batch {
  return tf.tidy(() => {
    const images = tf.randomNormal(SHAPE, 0, 1, "float32", 7) as Tensor5D;
    const first = images.slice([0, 0, 0, 0, 0], [...SHAPE.slice(0, 4), 1] as typeof SHAPE);
    const truth = Array.from({ length: Math.max(1, outputs - 1) }, (_, at) => first.greater(0.5 + at).toFloat());
    return { images, truth: tf.addN(truth) as Tensor5D };
  });
}

const small = (model: ExperimentInput["model"]) =>
  modelSchema.parse({ filters: 8, depth: 2, initial_deviation: 0.2, ...model });

interface Result {
  loss: number;
  gradient: Float32Array;
}

const off = (found: Result, exact: Result) => ({
  loss: Math.abs(found.loss - exact.loss) / exact.loss,
  gradient: distance(found.gradient, exact.gradient) / length(exact.gradient),
});

for (const own of [runtime, withGpu]) {
  for (const { title, outputs, model, loss } of models) {
    const where = own === runtime ? "kernels of native/" : "TensorFlow's operations";
    test(`loss and gradient are float32's within the type's precision, ${where}: ${title}`, () => {
      const before = tf.memory().numTensors;
      const batch = batchOf(outputs);
      const run = (precision: Precision, of: <T extends Tensor>(given: T) => T): Result => {
        const network = unet(own, small(model), SHAPE[4], outputs, "normal", precision);
        const compute = compile(
          own,
          { name: `mixed_${precision}` },
          ({
            state,
            batch,
            seed,
          }: {
            state: Pick<ModelState, "parameters" | "statistics">;
            batch: Batch;
            seed: Tensor1D;
          }) => {
            const scale = precision === "float16" ? tf.scalar(2 ** 15) : undefined;
            return lossAndGradient(own, network, { loss, batch_dice: true }, state, batch, seed, scale);
          },
        );
        const found = tf.tidy(() => {
          const { parameters, statistics } = initialState(own, network, trainSchema.parse({ precision }));
          const state = { parameters: of(parameters), statistics };
          const images = of(batch.images);
          const result = compute({ state, batch: { ...batch, images }, seed: tf.tensor1d([1, 0], "int32") });
          return { loss: values(result.loss)[0] as number, gradient: values(result.gradient) };
        });
        compute.dispose();
        return found;
      };
      const exact = run("float32", (given) => given);
      // Relus and max-pooling switch at the least change, so that the gradient moves by more than an operation's rounding:
      // by how much is measured by float32 itself on rounded images and weights.
      const scale = off(run("float32", rounded), exact);
      for (const precision of ["bfloat16", "float16"] as const) {
        const error = off(
          run(precision, (given) => given),
          exact,
        );
        const text = `${precision} ${JSON.stringify({ error, scale })}`;
        assert.ok(error.loss < 2e-3, text);
        assert.ok(error.gradient < 2 * scale.gradient && error.gradient < 0.15, text);
        assert.ok(error.gradient > 1e-5, `16 bits leave a trace: ${text}`);
      }
      tf.dispose(flatten(batch));
      assert.equal(tf.memory().numTensors, before, "no tensor is left");
    });
  }
}

/** Losses of steps, and the state after them. */
function steps(precision: Precision, count: number, batch: Batch, begin?: ModelState) {
  const train = trainSchema.parse({ precision, learning_rate: 5e-3 });
  const network = unet(runtime, small({ norm: "batch" }), SHAPE[4], 1, "normal", precision);
  const step = trainingStep(runtime, network, train);
  let state = begin ?? initialState(runtime, network, train);
  const losses: number[] = [];
  for (let at = 1; at <= count; at++) {
    const input = {
      learningRate: tf.scalar(train.learning_rate),
      step: tf.scalar(at),
      seed: tf.tensor1d([1, at], "int32"),
    };
    const result = step({ state, batch, ...input });
    losses.push(result.loss.dataSync()[0] as number);
    tf.dispose([...flatten(state), ...flatten(input), result.loss, result.dice]);
    state = result.state;
  }
  assert.equal(step.signatures, 1);
  step.dispose();
  return { losses, state, network, train };
}

const scaleOf = (state: ModelState) => [...values(state.slots.loss_scale as Tensor1D)];

/** A new state of float16 training with this scale in it. */
function stateWith(scale: readonly [number, number]): ModelState {
  const network = unet(runtime, small({ norm: "batch" }), SHAPE[4], 1);
  const { slots, ...rest } = initialState(runtime, network, trainSchema.parse({ precision: "float16" }));
  slots.loss_scale?.dispose();
  return { ...rest, slots: { ...slots, loss_scale: tf.tensor1d([...scale]) } };
}

test("ten steps go where float32's go, and the master weights are float32", () => {
  const batch = batchOf(1);
  const exact = steps("float32", STEPS, batch);
  assert.ok((exact.losses.at(-1) as number) < 0.9 * (exact.losses[0] as number), "the loss falls");
  assert.equal(exact.state.slots.loss_scale, undefined);
  for (const precision of ["bfloat16", "float16"] as const) {
    const found = steps(precision, STEPS, batch);
    for (const [at, loss] of found.losses.entries()) {
      const expected = exact.losses[at] as number;
      assert.ok(
        Math.abs(loss - expected) < 1e-2 * expected,
        `${precision}, step ${at + 1}: ${loss}, float32 ${expected}`,
      );
    }
    const { parameters, statistics } = exact.state;
    const [half, float] = [found.network, exact.network].map((network) => {
      const evaluation = evaluationStep(runtime, network, { loss: "dice", batch_dice: true });
      const result = evaluation({ parameters, statistics, batch });
      const loss = result.loss.dataSync()[0] as number;
      tf.dispose(flatten(result));
      evaluation.dispose();
      return loss;
    }) as [number, number];
    assert.ok(Math.abs(half - float) < 1e-2 * float, `${precision}: evaluates to ${half}, float32 to ${float}`);
    assert.notEqual(half, float);
    const weights = values(found.state.parameters);
    // bfloat16 keeps the upper 16 bits of float32, and float16 has 13 bits less of the significand.
    const bits = new Uint32Array(weights.buffer);
    assert.ok(
      bits.some((value) => (value & 0x1fff) !== 0),
      "weights have more than 16 bits",
    );
    tf.dispose(flatten(found.state));
  }
  tf.dispose([...flatten(exact.state), ...flatten(batch)]);
});

test("float16: a gradient that overflows changes nothing and halves the scale, finite ones count and double it", () => {
  const batch = batchOf(1);
  const huge = 2 ** 40;
  const before = stateWith([huge, 5]);
  const old = stateValues(before);
  const skipped = steps("float16", 1, batch, before);
  assert.ok(Number.isFinite(skipped.losses[0]));
  const now = stateValues(skipped.state);
  assert.deepEqual(now.parameters, old.parameters);
  assert.deepEqual(now.statistics, old.statistics);
  assert.deepEqual(now.slots.first, old.slots.first);
  assert.deepEqual([...(now.slots.loss_scale ?? [])], [huge / 2, 0]);

  const finite = steps("float16", 2, batch, stateWith([256, 1998]));
  assert.deepEqual(scaleOf(finite.state), [512, 0]);
  assert.notDeepEqual(values(finite.state.parameters), old.parameters);
  const counted = steps("float16", 2, batch, stateWith([256, 3]));
  assert.deepEqual(scaleOf(counted.state), [256, 5]);
  tf.dispose([...flatten(skipped.state), ...flatten(finite.state), ...flatten(counted.state), ...flatten(batch)]);
});

test("float16: a checkpoint keeps the scale, and one of float32 begins with the first", async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-mixed-"));
  const file = path.join(dir, "state.safetensors");
  const batch = batchOf(1);
  const { state, network, train } = steps("float16", 1, batch, stateWith([4096, 17]));
  const facts = {
    format: 1 as const,
    model: small({ norm: "batch" }),
    train,
    channels: 2,
    epoch: 1,
    step: 1,
    metrics: {},
    best: null,
    preprocessing: null,
    versions: {},
  };
  try {
    await writeCheckpoint(file, network, stateValues(state), facts);
    const { stored } = await readCheckpoint(file, () => network);
    const resumed = stateTensors(tf, stored, train);
    assert.deepEqual(scaleOf(resumed), [4096, 18]);
    const { loss_scale, ...plain } = stored.slots;
    assert.ok(loss_scale);
    const begun = stateTensors(tf, { ...stored, slots: plain }, train);
    assert.deepEqual(scaleOf(begun), [2 ** 15, 0]);
    const other = stateTensors(tf, stored, trainSchema.parse({}));
    assert.deepEqual(Object.keys(other.slots), ["first", "second"]);
    tf.dispose([...flatten(resumed), ...flatten(begun), ...flatten(other)]);
  } finally {
    tf.dispose([...flatten(state), ...flatten(batch)]);
    fs.rmSync(dir, { recursive: true });
  }
});

test("a 16-bit tensor passes for float32, in tfjs's operations and as a result", () => {
  const half: Attribute = { type: "type", value: "bfloat16" };
  const compute = compile(runtime, { name: "half" }, ({ x }: { x: Tensor1D }) => {
    const coarse = runtime.rawOp("Identity", [x], { T: half })[0] as Tensor1D;
    return { coarse, sum: coarse.add<Tensor1D>(x), joined: tf.concat1d([x, coarse]) };
  });
  // 1 + 2^-9 lies between two values of bfloat16, 1 and 1 + 2^-7.
  const fine = 1 + 2 ** -9;
  const x = tf.tensor1d([fine]);
  const found = compute({ x });
  assert.deepEqual([...values(found.coarse)], [1]);
  assert.deepEqual([...values(found.sum)], [1 + fine]);
  assert.deepEqual([...values(found.joined)], [fine, 1]);
  tf.dispose([x, ...flatten(found)]);
  compute.dispose();
});

test("out of a traced function a 16-bit type is refused by name", () => {
  const x = tf.ones([2]);
  assert.throws(
    () => runtime.rawOp("Identity", [x], { T: { type: "type", value: "bfloat16" } }),
    /Identity in a 16-bit type can only be part of a traced function/,
  );
  x.dispose();
});
