/** Our side of the step benchmark: prints the seconds of each step and the peak memory. Argument: the case as JSON. */
import type { Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { experimentSchema } from "../src/config/index.ts";
import { initialState, trainingStep, unet } from "../src/model/index.ts";
import { flatten, loadTensorFlow } from "../src/tensorflow/index.ts";
import { stepCase } from "./step-case.ts";

const { shape, batch, norm, memory, steps, warmUp, threads } = stepCase(process.argv[2] ?? "");
const runtime = loadTensorFlow({ threads });
const { tf } = runtime;
const { model, train } = experimentSchema.parse({
  name: "bench",
  data: { dir: "." },
  model: { norm },
  train: { amsgrad: true, memory },
});
const network = unet(runtime, model, 4, 1, train.memory);
const step = trainingStep(runtime, network, train);
const images = tf.randomNormal([batch, ...shape, 4], 0, 1, "float32", 1) as Tensor5D;
const truth = tf.tidy(
  () =>
    tf
      .randomUniform([batch, ...shape, 1], 0, 1, "float32", 2)
      .less(0.1)
      .toFloat() as Tensor5D,
);
let state = initialState(runtime, network, train);
const seconds: number[] = [];
for (let index = 1; index <= warmUp + steps; index++) {
  const start = performance.now();
  const [learningRate, count] = [tf.scalar(train.learning_rate), tf.scalar(index)];
  const seed = tf.tensor1d([train.seed, index], "int32");
  const result = step({ state, batch: { images, truth }, learningRate, step: count, seed });
  result.loss.dataSync();
  tf.dispose([...flatten(state), learningRate, count, seed, result.loss, result.dice]);
  state = result.state;
  if (index > warmUp) seconds.push((performance.now() - start) / 1000);
}
console.log(JSON.stringify({ seconds, peakMegabytes: process.resourceUsage().maxRSS / 1000 }));
