/** Our side of the all-reduce benchmark, one replica. Arguments: the case, all addresses and the rank as JSON. */
import type { Tensor1D } from "@tensorflow/tfjs-node-gpu";
import { allReduce, compile, loadTensorFlow } from "../src/tensorflow/index.ts";
import type { AllReduceCase, Measured } from "./allreduce-case.ts";

const [given, addresses, rank] = process.argv.slice(2).map((text) => JSON.parse(text)) as [
  AllReduceCase,
  string[],
  number,
];
const runtime = loadTensorFlow({ threads: given.threads, cluster: { addresses, rank } });
const { tf } = runtime;

/** As a training step would do it: what is reduced is computed in the function. */
const step = compile(runtime, { name: "step" }, (values: Tensor1D) =>
  allReduce(runtime, values.mul(2) as Tensor1D, { name: "gradient" }),
);

const values = tf.tidy(() => tf.linspace(0, 1, given.elements).add(rank) as Tensor1D);
const seconds: number[] = [];
let reduced: Tensor1D | undefined;
for (let index = 0; index < given.warmUp + given.steps; index++) {
  reduced?.dispose();
  const start = performance.now();
  reduced = step(values);
  if (index >= given.warmUp) seconds.push((performance.now() - start) / 1000);
}
const replicas = addresses.length;
const error = tf.tidy(() => {
  const expected = tf.linspace(0, 1, given.elements).mul(2 * replicas);
  return expected.add(replicas * (replicas - 1)).sub(reduced ?? 0);
});
const measured: Measured = {
  seconds,
  error: error.abs().max().dataSync()[0] ?? Number.NaN,
  peakMegabytes: process.resourceUsage().maxRSS / 1000,
};
console.log(JSON.stringify(measured));
