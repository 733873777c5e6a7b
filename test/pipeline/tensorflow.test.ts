/** TensorFlow takes batches as they lie. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inOrder } from "../../src/pipeline/index.ts";
import { loadTensorFlow } from "../../src/tensorflow/index.ts";
import { batchTensors } from "../../src/trainer/evaluation.ts";
import { folder, open, writeRecords } from "./records.ts";

test("tensors share the memory of a batch, made of kept volumes or not", { timeout: 60_000 }, async (t) => {
  const { tf } = loadTensorFlow({ threads: 1 });
  const dir = await folder(t);
  await writeRecords(dir, { train: 3, shards: 1, shape: [64, 64, 128, 4] });
  for (const budget of [0, 2 ** 30]) {
    for (const batchSize of [2, 1]) {
      // More often than there is memory of batches, which is used again.
      const data = await open(dir, { budget });
      const index = await data.index("train");
      const feed = data.feed([1, 2].map(() => ({ index, order: inOrder(3), batchSize, augmentation: null })));
      for (const epoch of [1, 2]) {
        for await (const batch of feed.phase()) {
          const tensors = batchTensors(tf, batch);
          for (const [tensor, array] of [
            [tensors.images, batch.images],
            [tensors.truth, batch.labels],
          ] as const) {
            const last = array.length - 1;
            const value = () => tf.tidy(() => tensor.reshape([-1]).slice([last], [1]).dataSync()[0]);
            assert.equal(value(), array[last], `epoch ${epoch}`);
            const before = array[last] as number;
            array[last] = -1;
            assert.equal(
              value(),
              -1,
              `epoch ${epoch}: TensorFlow has copied a batch of ${batchSize}, budget ${budget}`,
            );
            array[last] = before;
          }
          tf.dispose([tensors.images, tensors.truth]);
          batch.release();
        }
      }
      await feed.close();
    }
  }
  assert.equal(tf.memory().numTensors, 0);
});
