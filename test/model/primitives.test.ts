/** The kernels of native/kernels against TensorFlow's own operations, on shapes that fill no vector. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor, Tensor2D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { type ChannelAffine, composed, type Primitives, primitives, type Source } from "../../src/model/primitives.ts";
import { loadTensorFlow } from "../../src/tensorflow/index.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;
const own = primitives(runtime, "normal");
const tensorflow = composed(runtime, "normal");

let seed = 1;
const random = (shape: number[]) => tf.randomNormal(shape, 0, 1, "float32", seed++);
const volume = (...shape: [number, number, number, number, number]) => random(shape) as Tensor5D;
const affineOf = (n: number, c: number, slope: number): ChannelAffine => ({
  scale: random([n, c]) as Tensor2D,
  shift: random([n, c]) as Tensor2D,
  slope,
});

/** Runs both and compares; `compute` may return several tensors. */
function assertSame(what: string, compute: (ops: Primitives) => Tensor[]): void {
  tf.tidy(() => {
    const [ours, theirs] = [compute(own), compute(tensorflow)];
    for (const [index, expected] of theirs.entries()) {
      const actual = ours[index] as Tensor;
      assert.deepEqual(actual.shape, expected.shape, what);
      const off = actual.sub(expected).abs().max().dataSync()[0] as number;
      const scale = expected.abs().max().dataSync()[0] as number;
      assert.ok(off <= 2e-5 * scale, `${what}, result ${index}: off by ${off} of ${scale}`);
    }
  });
}

const before = tf.memory().numTensors;

const CONVOLUTIONS: [[number, number, number], number, number, number][] = [
  [[5, 7, 16], 8, 8, 3],
  [[4, 3, 49], 4, 8, 3],
  [[3, 5, 33], 3, 5, 3],
  [[6, 6, 20], 8, 1, 3],
  [[5, 4, 17], 1, 11, 5],
  [[3, 3, 9], 9, 12, 1],
  [[4, 6, 8], 16, 24, 3],
];

for (const [sides, from, to, side] of CONVOLUTIONS) {
  test(`convolution and its gradients: ${sides.join(" x ")}, ${from} to ${to} channels, kernel ${side}`, () => {
    tf.tidy(() => {
      const [x, outer] = [volume(2, ...sides, from), volume(2, ...sides, to)];
      const kernel = volume(side, side, side, from, to);
      const affine = affineOf(2, from, 0.1);
      assertSame("plain", (ops) => [ops.conv([{ x }], kernel, 1)]);
      assertSame("activated", (ops) => [ops.conv([{ x, affine }], kernel, 1)]);
      const joined: Source[] = [{ x: volume(2, ...sides, 3) }, { x, affine }, { x: volume(2, ...sides, 2) }];
      const wide = volume(side, side, side, from + 5, to);
      assertSame("several inputs", (ops) => [ops.conv(joined, wide, 1)]);
      assertSame("input gradient", (ops) => [ops.convInputGradient(x.shape, kernel, outer, 1)]);
      assertSame("kernel gradient", (ops) => [ops.convKernelGradient(x, side, outer, 1)]);
      assertSame("kernel gradient, activated", (ops) => [
        ops.convKernelGradient(x, side, outer, 1, { side: "input", affine }),
      ]);
    });
  });
}

test("the convolution with stride 2 and its gradients", () => {
  tf.tidy(() => {
    const [x, outer] = [volume(2, 6, 8, 18, 5), volume(2, 3, 4, 9, 8)];
    const kernel = volume(3, 3, 3, 5, 8);
    const affine = affineOf(2, 8, 0);
    assertSame("forward", (ops) => [ops.conv([{ x }], kernel, 2)]);
    assertSame("input gradient", (ops) => [ops.convInputGradient(x.shape, kernel, outer, 2)]);
    assertSame("kernel gradient", (ops) => [
      ops.convKernelGradient(x, 3, outer, 2),
      ops.convKernelGradient(x, 3, outer, 2, { side: "outer", affine }),
    ]);
  });
});

for (const channels of [1, 5, 8, 19]) {
  test(`pooling, moments and activations of ${channels} channels`, () => {
    tf.tidy(() => {
      const x = volume(2, 5, 6, 9, channels);
      for (const slope of [0, 0.2, 1]) {
        const affine = affineOf(2, channels, slope);
        const outer = volume(2, 5, 6, 9, channels);
        const [mean, p, q] = [1, 2, 3].map(() => random([2, channels]) as Tensor2D) as [Tensor2D, Tensor2D, Tensor2D];
        assertSame(`activation, slope ${slope}`, (ops) => [
          ops.activate(x, affine),
          ops.activationGradient(x, outer, affine, p, q),
          ...Object.values(ops.activationSums(x, outer, affine, mean)),
        ]);
        assertSame(`pooling, slope ${slope}`, (ops) => [ops.maxPool({ x, affine })]);
      }
      const smaller = volume(2, 2, 3, 4, channels);
      // Without ties, also rounded ones: TensorFlow's own operation for a CPU gives each of them the gradient.
      const values = 540 * channels;
      const apart = tf.tensor5d(
        Float32Array.from({ length: values }, (_, i) => (8 * ((i * 7919) % values)) / values),
        x.shape,
      );
      const drawn = affineOf(2, channels, 0.2);
      const affine = { ...drawn, scale: drawn.scale.abs().add<Tensor2D>(0.5) };
      assertSame("pooling's gradient", (ops) => [
        ops.maxPoolGradient({ x: apart }, smaller),
        ops.maxPoolGradient({ x: apart, affine }, smaller),
      ]);
      const far = x.add<Tensor5D>(100);
      assertSame("moments", (ops) => [...Object.values(ops.moments(x)), ...Object.values(ops.moments(far))]);
    });
  });
}

test("no tensor is left", () => assert.equal(tf.memory().numTensors, before));
