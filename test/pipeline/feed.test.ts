/** Batches of a plan: what is in them, how far ahead they are made, what a trial that ends early leaves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { augment, withPreset } from "../../src/augment/index.ts";
import { augmentationSchema } from "../../src/config/index.ts";
import { inOrder, type Phase, type SplitIndex, shuffled } from "../../src/pipeline/index.ts";
import { readSplit } from "../support/read-split.ts";
import { folder, open, SHAPE, takePhase, volumeAt, volumesOf, writeRecords } from "./records.ts";

const deadline = { timeout: 60_000 };
const volumeBytes = 4 * (SHAPE[0] * SHAPE[1] * SHAPE[2] * (SHAPE[3] + 1));

const plain = (index: SplitIndex, order: readonly number[], batchSize = 2): Phase => ({
  index,
  order,
  batchSize,
  augmentation: null,
});

for (const [threads, batchSize] of [
  [1, 1],
  [3, 2],
] as const) {
  test(
    `every volume of a phase once, in its order, whatever is kept: batches of ${batchSize}, ${threads} threads`,
    deadline,
    async (t) => {
      const dir = await folder(t);
      await writeRecords(dir, { train: 7, valid: 3 });
      const shared = new Map();
      // Nothing, some, everything; of the last ones some are there already.
      for (const budget of [0, 5 * (volumeBytes + 200), 2 ** 30]) {
        const data = await open(dir, { budget, threads, shared });
        const [train, valid] = [await data.index("train"), await data.index("valid")];
        const plan = [1, 2].flatMap((epoch) => [
          plain(train, shuffled(7, 9, epoch), batchSize),
          plain(valid, inOrder(3), batchSize),
        ]);
        const feed = data.feed(plan);
        for (const { index, order } of plan) {
          const batches = await takePhase(feed);
          assert.deepEqual(
            batches.map(({ indices, total }) => [indices.length, total]),
            Array.from({ length: Math.ceil(order.length / batchSize) }, (_, step) => {
              const count = Math.min(batchSize, order.length - step * batchSize);
              return [count, count];
            }),
          );
          assert.deepEqual(
            volumesOf(batches),
            order.map((position) => volumeAt(index.split, position)),
          );
        }
        assert.deepEqual(await takePhase(feed), []);
        assert.ok(feed.takeWaited() > 0);
        assert.equal(feed.takeWaited(), 0);
        await feed.close();
      }
    },
  );
}

for (const channels of [1, 3, 4]) {
  test(`${channels} channels, an image anywhere in its record`, async (t) => {
    const shape: [number, number, number, number] = [3, 7, 5, channels];
    for (const before of ["a", "ab", "abc", "abcd"]) {
      const dir = await folder(t);
      await writeRecords(dir, { train: 3, shards: 1, shape, before });
      const found = [];
      for await (const volume of readSplit(dir, "train")) found.push(volume);
      assert.deepEqual(
        found,
        [0, 1, 2].map((position) => volumeAt("train", position, shape)),
      );
    }
  });
}

test("augmented volumes are what augmentation makes of each, however they come", deadline, async (t) => {
  const dir = await folder(t);
  const shape: [number, number, number, number] = [6, 5, 8, 2];
  await writeRecords(dir, { train: 6, shape });
  const section = {
    crop: { shape: [4, 4, 6] },
    flip: { probability: 0.3 },
    rotation: { probability: 0.3 },
    gaussian_noise: { probability: 0.3 },
    gamma: { probability: 0.3 },
  };
  const seen = new Set<boolean>();
  const shared = new Map();
  for (const named of [section, { preset: "distmis" }, { intensity: { probability: 0.5 } }]) {
    const config = withPreset(augmentationSchema.parse(named));
    for (const budget of [0, 3000, 2 ** 30]) {
      const data = await open(dir, { budget, shared });
      const index = await data.index("train");
      const epochs = [4, 5].map((epoch): Phase => {
        return { ...plain(index, shuffled(6, 2, epoch)), augmentation: { config, seed: 2, epoch } };
      });
      const feed = data.feed(epochs);
      for (const [at, { order }] of epochs.entries()) {
        const volumes = volumesOf(await takePhase(feed));
        for (const [place, position] of order.entries()) {
          const source = volumeAt("train", position, shape);
          const expected = augment(source, config, 2, 4 + at);
          seen.add(expected.image === source.image);
          assert.deepEqual(volumes[place], expected);
        }
      }
      await feed.close();
    }
  }
  // Both those that nothing happened to and those that were changed.
  assert.equal(seen.size, 2);
});

test(
  "the next batches are made while one is in use, also those of the next phase, and no more than two",
  deadline,
  async (t) => {
    const dir = await folder(t);
    await writeRecords(dir, { train: 3, valid: 2 });
    const data = await open(dir);
    const [train, valid] = [await data.index("train"), await data.index("valid")];
    const asked: string[] = [];
    function* plan() {
      for (let epoch = 1; epoch <= 2; epoch++) {
        asked.push(`train ${epoch}`);
        yield plain(train, inOrder(3), 1);
        asked.push(`valid ${epoch}`);
        yield plain(valid, inOrder(2), 1);
      }
    }
    const feed = data.feed(plan());
    assert.deepEqual(asked, ["train 1"]);
    const phase = feed.phase();
    (await phase.next()).value?.release();
    assert.deepEqual(asked, ["train 1"]);
    // The second one is in use, the third and the first of the validation are made.
    (await phase.next()).value?.release();
    assert.deepEqual(asked, ["train 1", "valid 1"]);
    (await phase.next()).value?.release();
    assert.deepEqual(asked, ["train 1", "valid 1"]);
    assert.equal((await phase.next()).done, true);
    const validation = volumesOf(await takePhase(feed));
    assert.deepEqual(asked, ["train 1", "valid 1", "train 2"]);
    assert.deepEqual(validation, [volumeAt("valid", 0), volumeAt("valid", 1)]);
    await feed.close();
  },
);

test("what a trial that ends early has left is dropped and disturbs nobody", deadline, async (t) => {
  const dir = await folder(t);
  await writeRecords(dir, { train: 9 });
  for (const budget of [0, 2 ** 30]) {
    const shared = new Map();
    const data = await open(dir, { shared, budget });
    const index = await data.index("train");
    for (let taken = 0; taken < 4; taken++) {
      const feed = data.feed([plain(index, shuffled(9, taken, 1)), plain(index, shuffled(9, taken, 2))]);
      const phase = feed.phase();
      for (let batch = 0; batch < taken; batch++) (await phase.next()).value?.release();
      await feed.close();
    }
    const again = await open(dir, { shared, budget });
    const feed = again.feed([plain(await again.index("train"), inOrder(9))]);
    assert.deepEqual(
      volumesOf(await takePhase(feed)),
      inOrder(9).map((position) => volumeAt("train", position)),
    );
    await feed.close();
  }
});

test("replicas get their parts of one order; a part may be empty", deadline, async (t) => {
  const dir = await folder(t);
  await writeRecords(dir, { train: 7 });
  const order = shuffled(7, 1, 1);
  const replicas = 3;
  const ranks = await Promise.all(
    [0, 1, 2].map(async (rank) => {
      const data = await open(dir, { threads: 1 });
      const feed = data.feed([{ ...plain(await data.index("train"), order), rank, replicas }]);
      const batches = await takePhase(feed);
      await feed.close();
      return batches;
    }),
  );
  assert.deepEqual(
    ranks.map((batches) => batches.map(({ indices }) => indices.length)),
    [
      [2, 0],
      [2, 0],
      [2, 1],
    ],
  );
  const together = [0, 1].flatMap((step) => ranks.flatMap((batches) => volumesOf(batches.slice(step, step + 1))));
  assert.deepEqual(
    together,
    order.map((position) => volumeAt("train", position)),
  );
});
