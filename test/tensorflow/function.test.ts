/** Traced functions: what they compute, what they refuse, what they leave behind. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import type { Scalar, Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-node-gpu";
import {
  type Compiled,
  compile,
  flatten,
  loadTensorFlow,
  statelessRandom,
  type TensorTree,
} from "../../src/tensorflow/index.ts";

const runtime = loadTensorFlow({ threads: 1 });
const { tf, rawOp, binding } = runtime;
const baseline = tf.memory().numTensors;

after(() => assert.equal(tf.memory().numTensors, baseline, "no tensor is left by any test"));

const numbers = (tensor: { dataSync(): ArrayLike<number> }) => Array.from(tensor.dataSync());

test("nested inputs and outputs, in whatever order their keys stand", () => {
  const double = compile(runtime, { name: "nested" }, ({ a, list }: { a: Tensor1D; list: Tensor1D[] }) => ({
    sum: list.reduce((sum, tensor) => sum.add(tensor) as Tensor1D, a),
    pair: [a.mul(2), (list[0] as Tensor1D).neg()],
  }));
  const [a, b, c] = [tf.tensor1d([1, 2]), tf.tensor1d([10, 20]), tf.tensor1d([100, 200])];
  const first = double({ a, list: [b, c] });
  const second = double({ list: [b, c], a });
  for (const result of [first, second]) {
    assert.deepEqual(numbers(result.sum), [111, 222]);
    assert.deepEqual(result.pair.map(numbers), [
      [2, 4],
      [-10, -20],
    ]);
  }
  assert.equal(double.signatures, 1);
  tf.dispose([a, b, c, ...flatten(first), ...flatten(second)]);
  double.dispose();
});

test("each signature is traced once", () => {
  let traced = 0;
  const square = compile(runtime, { name: "signatures" }, ({ x }: { x: Tensor1D }) => {
    traced++;
    return x.square();
  });
  for (const values of [[1], [2], [1, 2], [3]]) {
    const x = tf.tensor1d(values);
    const y = square({ x });
    assert.deepEqual(
      numbers(y),
      values.map((value) => value * value),
    );
    tf.dispose([x, y]);
  }
  assert.equal(traced, 2);
  assert.equal(square.signatures, 2);
  square.dispose();
  const x = tf.tensor1d([1]);
  assert.throws(() => square({ x }), /signatures has been disposed of/);
  x.dispose();
});

test("gradients are traced like any operation, and equal the eager ones", () => {
  const loss = (w: Tensor2D) => w.matMul(w, false, true).square().mean() as Scalar;
  const step = compile(runtime, { name: "gradient" }, ({ w }: { w: Tensor2D }) => {
    const { value, grad } = tf.valueAndGrad((x) => loss(x as Tensor2D))(w);
    return { value, grad };
  });
  const w = tf.tensor2d([
    [0.5, -1],
    [2, 3],
  ]);
  const traced = step({ w });
  const eager = tf.valueAndGrad((x) => loss(x as Tensor2D))(w);
  assert.deepEqual(numbers(traced.grad), numbers(eager.grad));
  assert.deepEqual(numbers(traced.value), numbers(eager.value));
  tf.dispose([w, traced.grad, traced.value, eager.grad, eager.value]);
  step.dispose();
});

test("operations with list arguments, several outputs and constants", () => {
  const mixed = compile(runtime, { name: "lists" }, ({ x }: { x: Tensor2D }) => {
    const joined = tf.concat([x, tf.ones([1, 2]), x.neg()], 0);
    const [left, right] = tf.split(joined, 2, 1) as [Tensor2D, Tensor2D];
    return [left.add(tf.scalar(0.5)), tf.stack([right, right]), tf.addN([left, right, left])];
  });
  const x = tf.tensor2d([[1, 2]]);
  const results = mixed({ x });
  assert.deepEqual(results.map(numbers), [
    [1.5, 1.5, -0.5],
    [2, 1, -2, 2, 1, -2],
    [4, 3, -4],
  ]);
  tf.dispose([x, ...results]);
  mixed.dispose();
});

test("an input may be an output", () => {
  const same = compile(runtime, { name: "identity" }, ({ x }: { x: Tensor1D }) => ({ x, twice: [x, x] }));
  const x = tf.tensor1d([7]);
  const result = same({ x });
  assert.deepEqual(flatten(result).map(numbers), [[7], [7], [7]]);
  tf.dispose([x, ...flatten(result)]);
  same.dispose();
});

test("what can't be traced is refused with its reason, and eager work goes on", () => {
  const x = tf.tensor1d([1, 2, 3]);
  const outside = tf.tensor1d([1, 1, 1]);
  outside.add(1).dispose();
  const refused = (body: (inputs: { x: Tensor1D }) => TensorTree, message: RegExp) => {
    const before = tf.memory().numTensors;
    assert.throws(() => compile(runtime, { name: "refused" }, body)({ x }), message);
    assert.equal(tf.memory().numTensors, before);
  };
  refused((inputs) => tf.scalar(inputs.x.dataSync()[0] as number), /traced tensor has no value yet/);
  refused((inputs) => inputs.x.add(outside), /Add.* uses a tensor from outside the traced function/);
  refused(
    (inputs) => rawOp("Where", [inputs.x], { T: { type: "type", value: "float32" } })[0] as Tensor1D,
    /Where can't be traced: .*depends on data/,
  );
  refused(
    (inputs) => rawOp("Unique", [inputs.x], { T: { type: "type", value: "float32" } }, 2)[0] as Tensor1D,
    /Unique can't be traced: .*depends on data \(inferred: \[-1\]\)/,
  );
  refused((inputs) => ({ y: inputs.x.neg(), n: 1 }) as never, /the result of refused\.n: .*found 1/);
  refused((async (inputs: { x: Tensor1D }) => inputs.x.neg()) as never, /the result of refused: .*found a promise/);
  refused((() => undefined) as never, /the result of refused: .*found undefined/);
  assert.throws(
    () => compile(runtime, { name: "given" }, (inputs: TensorTree) => inputs)({ x: [x, 3] } as never),
    /the inputs of given\.x\.1: expected a tensor.*found 3/,
  );
  refused((inputs) => rawOp("NoSuchOperation", [inputs.x], {})[0] as Tensor1D, /NoSuchOperation/);
  refused(
    (inputs) => compile(runtime, { name: "inner" }, ({ x: y }: { x: Tensor1D }) => y.neg())({ x: inputs.x }),
    /can't be traced within another one/,
  );
  let escaped: Tensor1D | undefined;
  const leak = compile(runtime, { name: "leak" }, (inputs: { x: Tensor1D }) => {
    escaped = tf.keep(inputs.x.add(1)) as Tensor1D;
    return inputs.x.neg();
  });
  leak({ x }).dispose();
  assert.throws(() => escaped?.add(1), /traced function after its end/);
  escaped?.dispose();
  leak.dispose();
  tf.dispose([x, outside]);
});

test("an operation with a side effect runs although nothing uses it", () => {
  const guarded = compile(runtime, { name: "effect" }, ({ x }: { x: Tensor1D }) => {
    // Assert has no output at all.
    const attributes = { T: { type: "types", value: ["float32"] }, summarize: { type: "int", value: 3 } } as const;
    rawOp("Assert", [x.min().greater(0), x], attributes, 0);
    return x.neg();
  });
  const [good, bad] = [tf.tensor1d([1]), tf.tensor1d([-1])];
  guarded({ x: good }).dispose();
  assert.throws(() => guarded({ x: bad }), /assertion failed/);
  tf.dispose([good, bad]);
  guarded.dispose();
});

test("what tfjs reads behind a promise is refused as well", async () => {
  const x = tf.tensor1d([1, 0, 3]);
  const pending: Promise<unknown>[] = [];
  const masked = compile(runtime, { name: "masked" }, (inputs: { x: Tensor1D }) => {
    pending.push(tf.booleanMaskAsync(inputs.x, inputs.x.greater(0)));
    return inputs.x.neg();
  });
  masked({ x }).dispose();
  await assert.rejects(Promise.all(pending), /traced tensor has no value yet/);
  x.dispose();
  masked.dispose();
});

test("side effects happen at each call, in the order of the program", () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-function-"));
  const file = path.join(dir, "log");
  const print = (x: Tensor, word: string) => {
    const [line] = rawOp("StringFormat", [x], {
      T: { type: "types", value: ["float32"] },
      template: { type: "string", value: `${word} {}` },
      placeholder: { type: "string", value: "{}" },
      summarize: { type: "int", value: 3 },
    }) as [Tensor];
    const attributes = { output_stream: { type: "string", value: `file://${file}` } } as const;
    rawOp("PrintV2", [line], { ...attributes, end: { type: "string", value: "\n" } }, 0);
  };
  const noted = compile(runtime, { name: "noted" }, ({ x }: { x: Tensor1D }) => {
    // The first one waits longest for its input.
    let late: Tensor = x;
    for (let i = 0; i < 20; i++) late = late.add(1);
    print(late, "late");
    for (const word of ["second", "third", "fourth"]) print(x, word);
    return x.neg();
  });
  const lines = ["late [20]", "second [0]", "third [0]", "fourth [0]"];
  const x = tf.tensor1d([0]);
  for (let call = 0; call < 5; call++) noted({ x }).dispose();
  assert.deepEqual(fs.readFileSync(file, "utf8").trim().split("\n"), Array(5).fill(lines).flat());
  x.dispose();
  noted.dispose();
  fs.rmSync(dir, { recursive: true });
});

test("random numbers follow from a seed that is an input", () => {
  const draw = compile(runtime, { name: "draw" }, ({ seed }: { seed: Tensor1D }) => [
    statelessRandom(runtime, "uniform", [1000], seed),
    statelessRandom(runtime, "uniform", [1000], seed, 1),
    statelessRandom(runtime, "normal", [1000], seed),
    statelessRandom(runtime, "truncatedNormal", [1000], seed),
  ]);
  const drawn = (experiment: number, step: number) => {
    const seed = tf.tensor1d([experiment, step], "int32");
    const result = draw({ seed });
    const values = result.map(numbers);
    tf.dispose([seed, ...result]);
    return values;
  };
  const [first, again, nextStep, otherSeed] = [drawn(1, 0), drawn(1, 0), drawn(1, 1), drawn(2, 0)];
  assert.deepEqual(again, first);
  const all = [...first.slice(0, 2), nextStep[0], otherSeed[0]].map(String);
  assert.equal(new Set(all).size, all.length, "different for each stream, step and seed");
  const mean = (values: number[] = []) => values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.ok(first[0]?.every((value) => value >= 0 && value < 1) && Math.abs(mean(first[0]) - 0.5) < 0.05);
  assert.ok(Math.abs(mean(first[2])) < 0.15 && first[2]?.some((value) => Math.abs(value) > 2));
  assert.ok(first[3]?.every((value) => Math.abs(value) <= 2));
  assert.equal(draw.signatures, 1);
  draw.dispose();
  const wrong = tf.tensor1d([1, 2]);
  assert.throws(() => statelessRandom(runtime, "uniform", [2], wrong), /expected int32 \[2\], found float32 \[2\]/);
  wrong.dispose();
});

test("operations are placed on the device of the option", () => {
  const x = tf.tensor1d([1, 2]);
  const body = (inputs: { x: Tensor1D }) => ({ y: inputs.x.mul(tf.scalar(3)), x: inputs.x });
  const placed = compile(runtime, { name: "placed", device: "/device:CPU:0" }, body);
  const { y, x: same } = placed({ x });
  assert.deepEqual(
    [numbers(y), numbers(same)],
    [
      [3, 6],
      [1, 2],
    ],
  );
  placed.dispose();
  for (const device of ["/device:GPU:7", "CPU:0", "0", ""]) {
    assert.throws(
      () => compile(runtime, { name: "nowhere", device }, body),
      new RegExp(`device "${device}" is not in this process, which has /device:CPU:0`),
    );
  }
  tf.dispose([x, y, same]);
  // That TensorFlow reads it from the nodes shows in its refusal of one that is no device at all.
  const { backend, tracing } = runtime;
  tracing.record("nonsense", "no device", () =>
    tf.tidy(() => {
      backend.executeMultipleOutputs("distmis:outputs", [], [tf.scalar(1)], 0);
    }),
  );
  assert.throws(() => backend.executeMultipleOutputs("nonsense", [], [], 1), /no device/);
  tracing.remove("nonsense");
});

test("the options of the first load hold for the process", () => {
  assert.equal(loadTensorFlow(), runtime);
  assert.equal(loadTensorFlow({ threads: 1, gpuMemory: "growth" }), runtime);
  assert.throws(() => loadTensorFlow({ threads: 2 }), /with 1 threads already, so 2 can't be had/);
  assert.throws(() => loadTensorFlow({ gpuMemory: 0.5 }), /GPU memory "growth" already, so "0.5" can't be had/);
});

test("hundreds of functions come and go without a trace", () => {
  const x = tf.tensor1d([1, 2, 3]);
  const comeAndGo = (count: number) => {
    for (let index = 0; index < count; index++) {
      const made = compile(runtime, { name: "short" }, (inputs: { x: Tensor1D }) => {
        // A constant of 64 kB: 300 functions that stay would be 20 MB, and as much again for the graphs.
        let y: Tensor = inputs.x.add(tf.tensor1d(new Float32Array(16_384)).sum());
        for (let i = 0; i < 30; i++) y = y.mul(inputs.x).add(1);
        return y;
      });
      made({ x }).dispose();
      made.dispose();
    }
  };
  comeAndGo(100);
  const [tensors, handles, resident] = [tf.memory().numTensors, binding.getNumOfTensors(), process.memoryUsage.rss()];
  comeAndGo(300);
  assert.equal(tf.memory().numTensors, tensors);
  assert.equal(binding.getNumOfTensors(), handles);
  const more = (process.memoryUsage.rss() - resident) / 1e6;
  assert.ok(more < 12, `${more} MB more`);
  x.dispose();
});

test("ten thousand calls leave no tensor and no memory", () => {
  const step = compile(runtime, { name: "many" }, ({ x }: { x: Tensor1D }) => x.mul(0.999).add(1e-3) as Tensor1D);
  let x = tf.ones([1000]) as Tensor1D;
  const run = (count: number, compiled: Compiled<{ x: Tensor1D }, Tensor1D>) => {
    for (let i = 0; i < count; i++) {
      const next = compiled({ x });
      x.dispose();
      x = next;
    }
  };
  run(2000, step);
  const [tensors, handles, resident] = [tf.memory().numTensors, binding.getNumOfTensors(), process.memoryUsage().rss];
  run(10_000, step);
  assert.equal(tf.memory().numTensors, tensors);
  assert.equal(binding.getNumOfTensors(), handles);
  // 10,000 leaked tensors would be 40 MB.
  assert.ok(process.memoryUsage().rss - resident < 20e6, `${(process.memoryUsage().rss - resident) / 1e6} MB more`);
  x.dispose();
  step.dispose();
});

test("XLA compiles the function by option", () => {
  const fused = compile(runtime, { name: "xla", xla: true }, ({ x }: { x: Tensor1D }) => x.square().add(1).sqrt());
  const x = tf.tensor1d([0, Math.sqrt(3)]);
  const y = fused({ x });
  const [a, b] = numbers(y);
  assert.ok(Math.abs((a ?? 0) - 1) < 1e-6 && Math.abs((b ?? 0) - 2) < 1e-6);
  tf.dispose([x, y]);
  fused.dispose();
});
