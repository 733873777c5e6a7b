import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  checkPair,
  createTfrecord,
  encodeExample,
  type Preprocessing,
  preprocessImage,
  preprocessLabel,
  type SampleInfo,
  type SourceFile,
} from "../data/index.ts";
import { readNifti } from "../nifti/index.ts";
import type { Pair } from "./msd.ts";

/** One TFRecord file to write; plain data, as it crosses to a worker thread. */
export interface ShardJob {
  path: string;
  sourceDir: string;
  pairs: Pair[];
  recipe: Preprocessing;
}

export interface ShardResult {
  bytes: number;
  samples: SampleInfo[];
}

/** Writes one shard, a volume at a time. Errors: as readNifti and the preprocessing; FILE_UNUSABLE. */
export async function writeShard(job: ShardJob, onSample: () => void): Promise<ShardResult> {
  const samples: SampleInfo[] = [];
  const writer = await createTfrecord(job.path);
  let bytes = 0;
  try {
    for (const pair of job.pairs) {
      await writer.write(await prepare(job, pair));
      samples.push({
        image: await describeSource(job.sourceDir, pair.image),
        label: await describeSource(job.sourceDir, pair.label),
      });
      onSample();
    }
  } finally {
    bytes = await writer.close();
  }
  return { bytes, samples };
}

async function prepare({ sourceDir, recipe }: ShardJob, pair: Pair): Promise<Uint8Array[]> {
  // Image and label are read one after the other so that the stored image can be freed before the label is there.
  const { img, grid } = await prepareImage(join(sourceDir, pair.image), recipe);
  const stored = await readNifti(join(sourceDir, pair.label));
  checkPair(grid, stored);
  const { label, shape } = preprocessLabel(stored, recipe);
  return encodeExample({ img, label: { shape, data: label } });
}

async function prepareImage(path: string, recipe: Preprocessing) {
  const stored = await readNifti(path);
  const { image, shape } = preprocessImage(stored, recipe);
  return { img: { shape: [...shape], data: image }, grid: { path, shape: stored.shape, affine: stored.affine } };
}

/** Size, time and SHA-256 of a source file. */
export async function describeSource(sourceDir: string, path: string): Promise<SourceFile> {
  const file = join(sourceDir, path);
  const { size, mtimeMs } = await stat(file);
  return { path, bytes: size, modified_ms: Math.round(mtimeMs), sha256: await sha256(file) };
}

export async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest("hex");
}
