/**
 * The volumes of a split, in a random order that follows from a seed. Decoded volumes that fit the memory budget are kept
 * in the trainer, also for its next trials; a larger split is read anew each epoch, shuffled within a buffer of that size.
 */
import fs from "node:fs/promises";
import path from "node:path";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { type DatasetInfo, readSplit, type Split, type Volume } from "../data/index.ts";

export interface VolumeSource {
  readonly size: number;
  /** Each volume once, in the order of the shards. */
  inOrder(): AsyncIterable<Volume>;
  /** Each volume once, in an order that follows from the seed and the epoch alone. */
  shuffled(seed: number, epoch: number): AsyncIterable<Volume>;
}

interface Cache {
  /** Of which data set: changes when its info.json does, which is written last. */
  fingerprint: string;
  splits: Map<Split, Volume[]>;
}

/** A stream of integers below a bound; streams of different epochs are independent for all purposes. */
function randomBelow(seed: number, epoch: number): (bound: number) => number {
  const generator = xoroshiro128plus(seed ^ Math.imul(epoch, 0x9e3779b1));
  return (bound) => uniformInt(generator, 0, bound - 1);
}

const bytesOf = (volume: Volume) => volume.image.byteLength + volume.label.byteLength;

/**
 * @param shared the trainer's memory between trials
 * @param budget bytes of decoded volumes to keep, over all splits
 */
export async function openVolumes(
  dir: string,
  info: DatasetInfo,
  split: Split,
  shared: Map<string, unknown>,
  budget: number,
): Promise<VolumeSource> {
  const size = info[`${split}_size`];
  const { mtimeMs, ino } = await fs.stat(path.join(dir, "info.json"));
  const fingerprint = `${path.resolve(dir)} ${ino} ${mtimeMs}`;
  let cache = shared.get("volumes") as Cache | undefined;
  if (cache?.fingerprint !== fingerprint) {
    cache = { fingerprint, splits: new Map() };
    shared.set("volumes", cache);
  }
  const used = [...cache.splits.values()].flat().reduce((sum, volume) => sum + bytesOf(volume), 0);
  const whole = cache.splits.get(split) ?? (await readWhole(dir, split, size, budget - used));
  if (whole) {
    cache.splits.set(split, whole);
    return {
      size,
      inOrder: async function* () {
        yield* whole;
      },
      shuffled: async function* (seed, epoch) {
        const below = randomBelow(seed, epoch);
        const order = whole.slice();
        for (let last = order.length - 1; last > 0; last--) {
          const other = below(last + 1);
          const volume = order[last] as Volume;
          order[last] = order[other] as Volume;
          order[other] = volume;
        }
        yield* order;
      },
    };
  }
  return {
    size,
    inOrder: () => readSplit(dir, split),
    shuffled: (seed, epoch) => shuffledStream(readSplit(dir, split), randomBelow(seed, epoch), budget),
  };
}

/** All volumes of a split, or null if they are more than the budget. */
async function readWhole(dir: string, split: Split, size: number, budget: number): Promise<Volume[] | null> {
  const volumes: Volume[] = [];
  for await (const volume of readSplit(dir, split)) {
    // All volumes of a data set have one shape: the first one tells.
    if (bytesOf(volume) * size > budget) return null;
    volumes.push(volume);
  }
  return volumes;
}

/** Yields a random one of a full buffer and puts the next volume in its place. */
async function* shuffledStream(
  source: AsyncIterable<Volume>,
  below: (bound: number) => number,
  budget: number,
): AsyncGenerator<Volume> {
  const buffer: Volume[] = [];
  for await (const volume of source) {
    if (bytesOf(volume) * (buffer.length + 1) <= budget || buffer.length === 0) {
      buffer.push(volume);
      continue;
    }
    const index = below(buffer.length);
    yield buffer[index] as Volume;
    buffer[index] = volume;
  }
  while (buffer.length > 0) {
    const index = below(buffer.length);
    yield buffer[index] as Volume;
    buffer[index] = buffer.at(-1) as Volume;
    buffer.pop();
  }
}

/** Volumes in groups of `size`, the last one perhaps smaller. */
export async function* batches(volumes: AsyncIterable<Volume>, size: number): AsyncGenerator<Volume[]> {
  let batch: Volume[] = [];
  for await (const volume of volumes) {
    batch.push(volume);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
