/** Small TFRecords whose every voxel tells where it comes from. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { type DatasetInfo, readInfo, type Split, type Volume } from "../../src/data/index.ts";
import { type Batch, type DataSet, type Feed, openDataSet } from "../../src/pipeline/index.ts";
import { createTfrecord, encodeExample } from "../../src/tfrecord/index.ts";

export const SHAPE: Volume["imageShape"] = [4, 3, 5, 2];

/** The volume at a position of a split: voxel (x, y, z, c) is another number in each. */
export function volumeAt(split: Split, index: number, shape = SHAPE, salt = 0): Volume {
  const [x, y, z, channels] = shape;
  const base = (split === "train" ? 0 : 0.5) + 1000 * index + salt;
  const label = new Float32Array(x * y * z).map((_, voxel) => (voxel + index) % 4);
  return { image: new Float32Array(label.length * channels).map((_, i) => base + i), label, imageShape: shape, index };
}

interface Records {
  train: number;
  valid?: number;
  shards?: number;
  shape?: Volume["imageShape"];
  /** Other data of the same layout. */
  salt?: number;
  /** Name of a feature before the image, so that the image lies elsewhere in the record. */
  before?: string;
}

/** Writes a data set as DistMIS does, round robin over the shards, channels first, with its plain info.json. */
export async function writeRecords(dir: string, options: Records): Promise<DatasetInfo> {
  const { train, valid = 0, shards = 3, shape = SHAPE, salt = 0, before } = options;
  const [x, y, z, channels] = shape;
  await fs.mkdir(dir, { recursive: true });
  for (const [split, size] of [
    ["train", train],
    ["valid", valid],
  ] as const) {
    // Positions run shard by shard.
    let index = 0;
    for (let shard = 0; shard < Math.min(shards, size); shard++) {
      const writer = await createTfrecord(path.join(dir, `${split}_${shard}.tfrecord`));
      for (let own = shard; own < size; own += shards) {
        const volume = volumeAt(split, index++, shape, salt);
        const voxels = volume.label.length;
        const image = volume.image.map((_, i) => volume.image[(i % voxels) * channels + Math.floor(i / voxels)] ?? 0);
        await writer.write(
          encodeExample({
            ...(before === undefined ? {} : { [before]: { shape: [1], data: new Float32Array(1) } }),
            img: { shape: [channels, x, y, z], data: image },
            label: { shape: [1, x, y, z], data: volume.label },
          }),
        );
      }
      await writer.close();
    }
  }
  const info = {
    total_size: train + valid,
    train_size: train,
    valid_size: valid,
    test_size: 0,
    train_shard: Math.min(shards, train),
    valid_shard: Math.min(shards, valid),
    test_shard: 0,
  };
  await fs.writeFile(path.join(dir, "info.json"), JSON.stringify(info));
  return readInfo(dir);
}

/** A folder for the length of a test. */
export async function folder(t: TestContext): Promise<string> {
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), "distmis-pipeline-"));
  t.after(() => fs.rm(dir, { recursive: true, force: true }));
  return dir;
}

interface Opened {
  budget?: number;
  threads?: number;
  shared?: Map<string, unknown>;
}

/** Opens the data set in `dir` as it is now. */
export async function open(dir: string, options: Opened = {}): Promise<DataSet> {
  const { budget = 0, threads = 1, shared = new Map() } = options;
  return openDataSet({ dir, info: await readInfo(dir), shared, budget, threads });
}

/** Goes through the feed's next phase and gives back what it holds, copied. */
export async function takePhase(feed: Feed): Promise<Omit<Batch, "release">[]> {
  const batches = [];
  for await (const { release, ...batch } of feed.phase()) {
    batches.push({ ...batch, images: batch.images.slice(), labels: batch.labels.slice() });
    release();
  }
  return batches;
}

/** The volumes of batches, which must be of one shape. */
export function volumesOf(batches: readonly Omit<Batch, "release">[]): Volume[] {
  return batches.flatMap(({ images, labels, shape, indices }) => {
    const voxels = shape[0] * shape[1] * shape[2];
    assert.equal(labels.length, indices.length * voxels);
    assert.equal(images.length, indices.length * voxels * shape[3]);
    return indices.map((index, at) => ({
      image: images.slice(at * voxels * shape[3], (at + 1) * voxels * shape[3]),
      label: labels.slice(at * voxels, (at + 1) * voxels),
      imageShape: shape,
      index,
    }));
  });
}
