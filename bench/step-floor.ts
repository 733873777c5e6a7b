/**
 * The floor of the step benchmark: what TensorFlow's own convolutions of the default U-Net take, forward and both gradients,
 * compiled into one function and with nothing between them. Prints the seconds of each step and the peak memory. Argument:
 * the case as JSON.
 */
import type { Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { composed } from "../src/model/primitives.ts";
import { type Attribute, compile, loadTensorFlow } from "../src/tensorflow/index.ts";
import { stepCase } from "./step-case.ts";

const { shape, batch, steps, warmUp, threads } = stepCase(process.argv[2] ?? "");
const runtime = loadTensorFlow({ threads });
const { tf, rawOp } = runtime;
const ops = composed(runtime, "normal");

/** Channels in and out of a convolution; a transposed one is that with stride 2 whose gradient it is. */
const ordinary: { level: number; from: number; to: number }[] = [];
const transposed: { level: number; from: number; to: number }[] = [];
const [depth, filters, channels] = [3, 8, 4];
for (let level = 0; level <= depth; level++) {
  const to = filters * 2 ** level;
  ordinary.push({ level, from: level === 0 ? channels : to / 2, to }, { level, from: to, to });
  if (level === depth) continue;
  transposed.push({ level, from: to, to: 2 * to });
  ordinary.push({ level, from: 2 * to, to }, { level, from: to, to });
}
ordinary.push({ level: 0, from: filters, to: 1 });

const random = (size: [number, number, number, number, number]) =>
  tf.randomNormal(size, 0, 1, "float32", 1) as Tensor5D;
const volume = (level: number, width: number) =>
  random([batch, shape[0] / 2 ** level, shape[1] / 2 ** level, shape[2] / 2 ** level, width]);
const inputs = [
  ...ordinary.map(({ level, from, to }) => ({ stride: 1, x: [level, from], y: [level, to] })),
  ...transposed.map(({ level, from, to }) => ({ stride: 2, x: [level, from], y: [level + 1, to] })),
].map(({ stride, x, y }) => {
  const [a = 0, from = 0] = x;
  const [b = 0, to = 0] = y;
  return { stride, x: volume(a, from), outer: volume(b, to), kernel: random([3, 3, 3, from, to]) };
});
const strides = inputs.map(({ stride }) => stride);
const tensors = inputs.map(({ x, outer, kernel }) => ({ x, outer, kernel }));
/** One value of a result, so that it is computed but not kept. */
const corner = (result: Tensor5D) => result.slice([0, 0, 0, 0, 0], [1, 1, 1, 1, 1]).reshape([1]);
const step = compile(runtime, { name: "floor" }, (all: typeof tensors) =>
  all.map(({ x, outer, kernel }, index) => {
    const stride = strides[index] ?? 1;
    const sizes = tf.tensor1d(x.shape, "int32");
    const common: Record<string, Attribute> = {
      T: { type: "type", value: "float32" },
      strides: { type: "int", value: [1, stride, stride, stride, 1] },
      padding: { type: "string", value: "SAME" },
    };
    const [back] = rawOp("Conv3DBackpropInputV2", [sizes, kernel, outer], {
      ...common,
      Tshape: { type: "type", value: "int32" },
    });
    return [
      corner(ops.conv([{ x }], kernel, stride)),
      corner(back as Tensor5D),
      corner(ops.convKernelGradient(x, 3, outer, stride)),
    ];
  }),
);
const seconds: number[] = [];
for (let index = 1; index <= warmUp + steps; index++) {
  const start = performance.now();
  const results = step(tensors).flat();
  results[0]?.dataSync();
  tf.dispose(results);
  if (index > warmUp) seconds.push((performance.now() - start) / 1000);
}
console.log(JSON.stringify({ seconds, peakMegabytes: process.resourceUsage().maxRSS / 1000 }));
