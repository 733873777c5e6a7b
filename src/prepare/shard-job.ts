import { join } from "node:path";
import {
  checkPair,
  type Preprocessing,
  preprocessImage,
  preprocessLabel,
  type SampleInfo,
  writtenSpacing,
} from "../data/index.ts";
import { readNifti } from "../nifti/index.ts";
import { createTfrecord, encodeExample } from "../tfrecord/index.ts";
import { augmentedCopies, type Copies, type Sample } from "./copies.ts";
import type { Pair } from "./msd.ts";
import type { Shard } from "./plan-shards.ts";
import { isBadPair, skippedPair } from "./scan.ts";
import { type Done, openShardLog } from "./shard-log.ts";
import { describeSource } from "./source-file.ts";

/** One TFRecord file to write; plain data, as it crosses to a worker thread. */
export interface ShardJob {
  path: string;
  sourceDir: string;
  shard: Shard;
  recipe: Preprocessing;
  /** For training volumes alone. */
  copies: Copies | null;
  skipBad: boolean;
  /** What an earlier run has done of it. */
  done: Done[];
}

export interface ShardEvents {
  /** A further volume is written or skipped. */
  onVolume(): void;
  /** All are, but may still be on their way to the disk. */
  onWritten(): void;
  /** Whether to end after the volume in hand. */
  stopAsked(): boolean;
}

/** What a thread keeps from one volume to the next, and from one shard to the next. */
export interface Room {
  /** The last sample, whose arrays may be used again. */
  written: Sample | null;
}

/**
 * Writes one shard, a volume at a time, and returns what is done of it: all, unless it was stopped. A volume's records reach the
 * disk while the next one is worked on, and only then its line is written to the log.
 *
 * Errors: as readNifti and the preprocessing, unless bad pairs are skipped; FILE_UNUSABLE if the shard can't be written.
 */
export async function writeShard(job: ShardJob, events: ShardEvents, room: Room): Promise<Done[]> {
  const done = [...job.done];
  const writer = await createTfrecord(job.path, { keep: done.at(-1)?.bytes ?? 0 });
  try {
    const log = await openShardLog(job.path, done);
    try {
      let flushed: Promise<void> = Promise.resolve();
      for (const { pair, position } of job.shard.members.slice(done.length)) {
        if (events.stopAsked()) break;
        const prepared = await preparedOrSkipped(job, pair, room.written);
        const samples: SampleInfo[] = [];
        for (const [copy, sample] of records(prepared.sample, position, job.copies)) {
          await writer.write(
            encodeExample({
              img: { shape: [...sample.shape], data: sample.image },
              label: { shape: [1, ...sample.shape.slice(1)], data: sample.label },
            }),
          );
          if (prepared.about !== null) samples.push({ ...prepared.about, copy });
        }
        room.written = prepared.sample ?? room.written;
        await flushed;
        const entry: Done = { bytes: writer.size(), samples, skipped: prepared.skipped };
        flushed = writer.flush().then(() => log.append(entry));
        // Whoever awaits it next sees the error.
        flushed.catch(() => {});
        done.push(entry);
        events.onVolume();
      }
      events.onWritten();
      await flushed;
      return done;
    } finally {
      await log.close();
    }
  } finally {
    await writer.close();
  }
}

/** A volume's records with their numbers: itself, then its copies. */
function* records(sample: Sample | null, position: number, copies: Copies | null): Generator<[number, Sample]> {
  if (sample === null) return;
  yield [0, sample];
  if (copies === null) return;
  let copy = 0;
  for (const each of augmentedCopies(sample, position, copies)) yield [++copy, each];
}

interface Prepared {
  sample: Sample | null;
  /** Of the volume itself. */
  about: SampleInfo | null;
  skipped: Done["skipped"];
}

async function preparedOrSkipped(job: ShardJob, pair: Pair, reuse: Sample | null): Promise<Prepared> {
  try {
    return { ...(await prepare(job, pair, reuse)), skipped: null };
  } catch (error) {
    if (!job.skipBad || !isBadPair(error)) throw error;
    return { sample: null, about: null, skipped: await skippedPair(job.sourceDir, pair, error, "voxels") };
  }
}

async function prepare(
  { sourceDir, recipe }: ShardJob,
  pair: Pair,
  reuse: Sample | null,
): Promise<{ sample: Sample; about: SampleInfo }> {
  const sources = {
    image: await describeSource(sourceDir, pair.image),
    label: await describeSource(sourceDir, pair.label),
  };
  // Image and label are read one after the other so that the stored image can be freed before the label is there.
  const {
    image,
    shape,
    repaired: nonfinite,
    grid,
  } = await prepareImage(join(sourceDir, pair.image), recipe, reuse?.image);
  const stored = await readNifti(join(sourceDir, pair.label));
  checkPair(grid, stored);
  const { label, repaired: labels } = preprocessLabel(stored, recipe, reuse?.label);
  const about = { ...sources, copy: 0, spacing: writtenSpacing(grid, recipe), repaired: { nonfinite, labels } };
  return { sample: { image, label, shape }, about };
}

async function prepareImage(path: string, recipe: Preprocessing, reuse: Float32Array | undefined) {
  const { data, ...grid } = await readNifti(path);
  return { ...preprocessImage({ ...grid, data }, recipe, reuse), grid };
}
