/** Our side of the data-parallel benchmark, one replica. Arguments: the case, all addresses and the rank as JSON. */
import { createHash } from "node:crypto";
import type { Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { experimentSchema } from "../src/config/index.ts";
import { initialState, trainingStep, unet } from "../src/model/index.ts";
import { allReduce, flatten, loadTensorFlow } from "../src/tensorflow/index.ts";
import type { DataParallelCase, Trained } from "./dataparallel-case.ts";

const [given, addresses, rank] = process.argv.slice(2).map((text) => JSON.parse(text)) as [
  DataParallelCase,
  string[],
  number,
];
const { processes, shape, batch, sync, together, threads, warmUp, steps } = given;
const runtime = loadTensorFlow({ threads, ...(processes > 1 && { cluster: { addresses, rank } }) });
const { tf } = runtime;
const { model, train } = experimentSchema.parse({
  name: "bench",
  data: { dir: "." },
  model: { norm: "batch" },
  train: { sync },
});
const network = unet(runtime, model, 4, 1, train.memory);
const step = trainingStep(runtime, network, train);
const images = tf.randomNormal([batch, ...shape, 4], 0, 1, "float32", 2 * rank + 1) as Tensor5D;
const truth = tf.tidy(
  () =>
    tf
      .randomUniform([batch, ...shape, 1], 0, 1, "float32", 2 * rank + 2)
      .less(0.1)
      .toFloat() as Tensor5D,
);
const replica = together && processes > 1 ? { weight: tf.scalar(1 / processes), said: tf.tensor1d([0]) } : undefined;
let state = initialState(runtime, network, train);
const seconds: number[] = [];
const losses: number[] = [];
for (let index = 1; index <= warmUp + steps; index++) {
  // Those that work apart begin together, so that they are measured at the same time.
  if (index === warmUp + 1) tf.dispose(allReduce(runtime, tf.scalar(0), { name: "begin" }));
  const start = performance.now();
  const [learningRate, count] = [tf.scalar(train.learning_rate), tf.scalar(index)];
  const seed = tf.tensor1d([train.seed, index], "int32");
  const result = step({
    state,
    batch: { images, truth },
    learningRate,
    step: count,
    seed,
    ...(replica && { replica }),
  });
  losses.push(result.loss.dataSync()[0] ?? Number.NaN);
  tf.dispose([...flatten(state), learningRate, count, seed, result.loss, result.dice]);
  result.said?.dispose();
  state = result.state;
  if (index > warmUp) seconds.push((performance.now() - start) / 1000);
}
const trained: Trained = {
  seconds,
  losses,
  digest: createHash("sha256").update(state.parameters.dataSync()).digest("hex"),
  peakMegabytes: process.resourceUsage().maxRSS / 1000,
};
console.log(JSON.stringify(trained));
