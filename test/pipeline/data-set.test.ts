/** What a data set keeps from trial to trial, and what it says about data that are not as they should be. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { readInfo } from "../../src/data/index.ts";
import { type DataSet, indexSplit, inOrder } from "../../src/pipeline/index.ts";
import { startPool } from "../../src/pipeline/pool.ts";
import { createTfrecord, encodeExample } from "../../src/tfrecord/index.ts";
import { failure } from "../data/helpers.ts";
import { folder, open, SHAPE, takePhase, volumeAt, volumesOf, writeRecords } from "./records.ts";

const deadline = { timeout: 60_000 };

/** The training volumes at these positions, by a feed of their own. */
async function read(data: DataSet, order: readonly number[], batchSize = 2) {
  const feed = data.feed([{ index: await data.index("train"), order, batchSize, augmentation: null }]);
  try {
    return volumesOf(await takePhase(feed));
  } finally {
    await feed.close();
  }
}

const removeShards = async (dir: string) => {
  for (const name of await fs.readdir(dir)) if (name.endsWith(".tfrecord")) await fs.rm(path.join(dir, name));
};

test("volumes that were decoded in one trial are not read by the next one", deadline, async (t) => {
  const dir = await folder(t);
  await writeRecords(dir, { train: 5 });
  const expected = inOrder(5).map((position) => volumeAt("train", position));
  const shared = new Map();
  assert.deepEqual(await read(await open(dir, { shared, budget: 2 ** 20 }), inOrder(5)), expected);
  await removeShards(dir);
  for (const batchSize of [1, 2]) {
    assert.deepEqual(await read(await open(dir, { shared, budget: 2 ** 20 }), inOrder(5), batchSize), expected);
  }
});

test("the budget holds: what fits is kept, the rest is read, and a smaller budget lets go", deadline, async (t) => {
  const dir = await folder(t);
  await writeRecords(dir, { train: 5 });
  const shared = new Map();
  // A volume of 4 x 3 x 5 x 2 and its label are 720 bytes, aligned a little more.
  const budget = 2 * 800;
  await read(await open(dir, { shared, budget }), inOrder(5));
  await removeShards(dir);
  assert.deepEqual(await read(await open(dir, { shared, budget }), [1, 0]), [
    volumeAt("train", 1),
    volumeAt("train", 0),
  ]);
  await assert.rejects(
    read(await open(dir, { shared, budget }), [2]),
    failure("FILE_UNUSABLE", "train_", "does not exist"),
  );
  assert.deepEqual(await read(await open(dir, { shared, budget: 800 }), [0]), [volumeAt("train", 0)]);
  await assert.rejects(read(await open(dir, { shared, budget }), [1]), failure("FILE_UNUSABLE", "does not exist"));
});

test("a data set that was written anew is read anew", deadline, async (t) => {
  const dir = await folder(t);
  const shared = new Map();
  let letGo = 0;
  for (const salt of [0, 0.25]) {
    await writeRecords(dir, { train: 3, salt });
    // File systems count in milliseconds and less.
    await fs.utimes(path.join(dir, "info.json"), new Date(), new Date(1e12 + 1e6 * salt));
    const info = await readInfo(dir);
    const { openDataSet } = await import("../../src/pipeline/index.ts");
    const data = await openDataSet({ dir, info, shared, budget: 2 ** 20, threads: 1, onLetGo: () => letGo++ });
    assert.deepEqual(
      await read(data, inOrder(3)),
      inOrder(3).map((position) => volumeAt("train", position, SHAPE, salt)),
    );
  }
  assert.equal(letGo, 1);
});

test("a damaged record is named with file and byte, and the others can be read", deadline, async (t) => {
  const dir = await folder(t);
  await writeRecords(dir, { train: 6, shards: 2 });
  const data = await open(dir);
  const { records } = await data.index("train");
  const place = records[4];
  assert.ok(place && place.offset > 0);
  const file = await fs.open(place.path, "r+");
  await file.write(Buffer.from([0xff]), 0, 1, place.offset + 300);
  await file.close();
  const named = failure(
    "DATA_INVALID",
    place.path,
    `record at byte ${place.offset}`,
    "checksum of its data",
    "write the data set again",
  );
  await assert.rejects(read(data, inOrder(6)), named);
  assert.deepEqual(await read(data, [5, 3]), [volumeAt("train", 5), volumeAt("train", 3)]);
  await assert.rejects(read(data, [4], 1), named);
});

test("what is no sample, or one of another shape, is named", deadline, async (t) => {
  const dir = await folder(t);
  const info = await writeRecords(dir, { train: 2, shards: 2 });
  const rewrite = async (features: Parameters<typeof encodeExample>[0]) => {
    const writer = await createTfrecord(path.join(dir, "train_1.tfrecord"));
    await writer.write(encodeExample(features));
    await writer.close();
  };
  const tensor = (...shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
  const second = async () => read(await open(dir), [0, 1]);
  await rewrite({ img: tensor(2, 4, 3, 5), mask: tensor(1, 4, 3, 5) });
  await assert.rejects(second(), failure("DATA_INVALID", "train_1", "byte 0", 'no bytes feature "label"'));
  await rewrite({ img: tensor(2, 4, 5, 3), label: tensor(1, 4, 5, 3) });
  await assert.rejects(
    second(),
    failure("DATA_INVALID", "train_1", "byte 0", "2 x 4 x 5 x 3", "expected 2 x 4 x 3 x 5"),
  );
  await rewrite({ img: tensor(2, 4, 3, 4), label: tensor(1, 4, 3, 4) });
  await assert.rejects(
    indexSplit(dir, info, "train"),
    failure("DATA_INVALID", "train_1", "byte 0", "expected at least 720"),
  );
  await rewrite({ img: tensor(24), label: tensor(12) });
  await fs.rename(path.join(dir, "train_1.tfrecord"), path.join(dir, "train_0.tfrecord"));
  await assert.rejects(
    indexSplit(dir, { ...info, train_size: 1, train_shard: 1 }, "train"),
    failure("DATA_INVALID", "train_0", "expected C x X x Y x Z"),
  );
});

test("nothing is allocated for a record that claims more than its file holds", deadline, async (t) => {
  const dir = await folder(t);
  const info = await writeRecords(dir, { train: 1, shards: 1 });
  const shard = path.join(dir, "train_0.tfrecord");
  const bytes = await fs.readFile(shard);
  // 10 GB, with the checksum of that length.
  const head = Buffer.from("00e40b5402000000", "hex");
  const { crc32c } = await import("@node-rs/crc32");
  const crc = crc32c(head);
  bytes.set(head, 0);
  bytes.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, 8);
  await fs.writeFile(shard, bytes);
  const before = process.memoryUsage().arrayBuffers;
  await assert.rejects(
    indexSplit(dir, info, "train"),
    failure("DATA_INVALID", shard, "byte 0", "it declares 10000000000 bytes"),
  );
  assert.ok(process.memoryUsage().arrayBuffers - before < 1e6);
});

test(
  "a thread that dies is an error of all that waits for it, and the next trial has threads again",
  deadline,
  async (t) => {
    const pool = startPool(2, new URL("./fixtures/dying-thread.ts", import.meta.url));
    const job = { index: 0, shape: SHAPE, record: null, cached: null, target: null, augmentation: null };
    const results = await Promise.allSettled([pool.run(job), pool.run(job), pool.run(job)]);
    for (const result of results) {
      assert.match(String(result.status === "rejected" && result.reason), /has ended with code 3/);
    }
    await assert.rejects(pool.run(job), /has ended with code 3/);
    assert.equal(pool.failed(), true);
    await pool.close();

    const dir = await folder(t);
    await writeRecords(dir, { train: 3 });
    const shared = new Map<string, unknown>();
    const first = await open(dir, { shared });
    await read(first, [0]);
    const held = shared.get("pipeline") as { pool: typeof pool };
    await held.pool.close();
    await assert.rejects(read(first, [0]), /were ended/);
    assert.deepEqual(await read(await open(dir, { shared }), [2]), [volumeAt("train", 2)]);
  },
);
