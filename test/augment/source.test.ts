/** The training split through the augmentation thread. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { augmentedSource } from "../../src/augment/index.ts";
import { ahead } from "../../src/augment/prefetch.ts";
import { augmentationSchema } from "../../src/config/index.ts";
import type { Volume } from "../../src/data/index.ts";
import type { VolumeSource } from "../../src/trainer/volumes.ts";
import { augmented, numbered } from "./volumes.ts";

const section = {
  flip: {},
  rotation: { probability: 0.5 },
  gaussian_noise: { probability: 0.5 },
  crop: { shape: [4, 4, 4] },
};
const config = augmentationSchema.parse(section);

/** A split of `count` volumes; shuffled is backwards. */
function split(count: number): VolumeSource & { volumes: Volume[] } {
  const volumes = Array.from({ length: count }, (_, index) => numbered([6, 5, 4, 2], index));
  async function* each(list: Volume[]) {
    yield* list;
  }
  return { volumes, size: count, inOrder: () => each(volumes), shuffled: () => each(volumes.toReversed()) };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

for (const count of [0, 1, 3, 20]) {
  test(`${count} volumes ahead: each comes as it would alone, in the order of the split`, async () => {
    const plain = split(9);
    const source = augmentedSource(plain, config, count);
    try {
      const expected = plain.volumes.toReversed().map((volume) => augmented(volume, section, { seed: 4, epoch: 2 }));
      assert.deepEqual(await all(source.shuffled(4, 2)), expected);
      assert.deepEqual(await all(source.inOrder()), plain.volumes);
      assert.deepEqual(plain.volumes, split(9).volumes);
    } finally {
      await source.close();
    }
  });
}

test("an epoch that is left early does not disturb the next one", async () => {
  const plain = split(6);
  const source = augmentedSource(plain, config, 3);
  try {
    for await (const volume of source.shuffled(1, 1)) {
      assert.equal(volume.index, 5);
      break;
    }
    const expected = plain.volumes.toReversed().map((volume) => augmented(volume, section, { seed: 1, epoch: 2 }));
    assert.deepEqual(await all(source.shuffled(1, 2)), expected);
  } finally {
    await source.close();
  }
});

test("a failure on the thread names its volume; the thread goes on", async () => {
  const plain = split(3);
  const broken: Volume = { ...numbered([6, 5, 4, 2], 1), imageShape: [1e6, 1e6, 1e6, 2] };
  const failing = augmentedSource(
    {
      ...plain,
      shuffled: async function* (_, epoch) {
        yield epoch === 1 ? broken : numbered([6, 5, 4, 2], 1);
      },
    },
    augmentationSchema.parse({ rotation: { probability: 1 } }),
    1,
  );
  try {
    await assert.rejects(all(failing.shuffled(1, 1)), /augmentation of training volume 1: RangeError/);
    assert.equal((await all(failing.shuffled(1, 2))).length, 1);
  } finally {
    await failing.close();
  }
});

test("without an augmentation the volumes are the split's own", async () => {
  const plain = split(2);
  const source = augmentedSource(plain, undefined, 2);
  const found = await all(source.shuffled(1, 1));
  assert.equal(found[0]?.image, plain.volumes[1]?.image);
  await source.close();
});

test("work is begun for as many items ahead as was asked for, and no more", async () => {
  async function* numbers() {
    yield* [0, 1, 2, 3, 4];
  }
  let begun = 0;
  const seen: number[][] = [];
  for await (const item of ahead(numbers(), 2, async (value) => {
    begun++;
    return value;
  }))
    seen.push([item, begun]);
  assert.deepEqual(seen, [
    [0, 3],
    [1, 4],
    [2, 5],
    [3, 5],
    [4, 5],
  ]);
});
