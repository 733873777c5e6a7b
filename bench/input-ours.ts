/** Our side of the input benchmark: prints the seconds a volume of each measured epoch and the peak memory. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readInfo } from "../src/data/index.ts";
import { openDataSet, shuffled } from "../src/pipeline/index.ts";
import { loadTensorFlow } from "../src/tensorflow/index.ts";
import { batchTensors } from "../src/trainer/evaluation.ts";
import { inputCaseSchema } from "./input-case.ts";

const given = inputCaseSchema.parse(JSON.parse(process.argv[2] ?? ""));
const { dir, size, mode, drop, batch: batchSize, threads, warmUp, epochs, verify } = given;
const { tf } = loadTensorFlow({ threads });
const info = await readInfo(dir);
const budget = mode === "cache" ? 2 ** 40 : 0;
const data = await openDataSet({ dir, info, shared: new Map(), budget, threads });
const index = await data.index("train");
const digests: string[] = [];

/** One epoch to tensors, from a feed of its own: what the epoch before could have prefetched does not count. */
async function epoch(number: number, digested: boolean): Promise<number> {
  let count = 0;
  const feed = data.feed([{ index, order: shuffled(size, 1, number), batchSize, augmentation: null }]);
  for await (const batch of feed.phase()) {
    const { images, truth } = batchTensors(tf, batch);
    // Brings them into TensorFlow, as the first step that reads them would.
    for (const tensor of [images, truth]) tf.dispose(tf.slice(tensor, [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]));
    const volumes = batch.indices.length;
    for (let at = 0; digested && at < volumes; at++) {
      const hash = createHash("sha256");
      for (const all of [batch.images, batch.labels]) {
        const length = all.length / volumes;
        hash.update(new Uint8Array(all.slice(at * length, (at + 1) * length).buffer));
      }
      digests.push(hash.digest("hex"));
    }
    tf.dispose([images, truth]);
    count += volumes;
    batch.release();
  }
  await feed.close();
  return count;
}

const seconds: number[] = [];
for (let number = 1; number <= warmUp + epochs; number++) {
  if (mode === "cold") execFileSync(drop[0] as string, drop.slice(1));
  const start = performance.now();
  const count = await epoch(number, false);
  const taken = (performance.now() - start) / 1000;
  if (count !== size) throw new Error(`an epoch of ${count} volumes, expected ${size}`);
  if (number > warmUp) seconds.push(taken / count);
}
if (verify) await epoch(0, true);
const peakMegabytes = process.resourceUsage().maxRSS / 1000;
console.log(JSON.stringify({ seconds, peakMegabytes, digests: digests.sort() }));
