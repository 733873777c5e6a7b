import { stat } from "node:fs/promises";
import { join } from "node:path";
import { checkPair, type SkippedPair, splitShape } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { type NiftiHeader, readNiftiHeader } from "../nifti/index.ts";
import type { MsdDataset, Pair } from "./msd.ts";

/** A pair whose headers are good. */
export interface Scanned {
  pair: Pair;
  image: NiftiHeader;
}

const SCANS_AT_ONCE = 8;

/**
 * Reads the headers of all volumes, so that a bad pair shows before an hour of work. Both lists are in the order of dataset.json.
 * Errors, unless bad pairs are skipped: as readNiftiHeader; DATA_INVALID naming both files if image and label lie on
 * different grids, or the image if it has other channels than dataset.json says.
 */
export async function scanHeaders(
  dataset: MsdDataset,
  skipBad: boolean,
  onPair: () => void,
): Promise<{ good: Scanned[]; skipped: SkippedPair[] }> {
  const found: (Scanned | SkippedPair)[] = [];
  let next = 0;
  const scan = async (): Promise<void> => {
    for (let index = next++; index < dataset.pairs.length; index = next++) {
      const pair = dataset.pairs[index];
      if (pair === undefined) return;
      try {
        found[index] = { pair, image: await scanPair(dataset, pair) };
      } catch (error) {
        if (!skipBad || !isBadPair(error)) throw error;
        found[index] = await skippedPair(dataset.dir, pair, error, "headers");
      }
      onPair();
    }
  };
  await Promise.all(Array.from({ length: SCANS_AT_ONCE }, scan));
  const good = found.filter((each) => "pair" in each);
  const skipped = found.filter((each) => "reason" in each);
  const [first] = skipped;
  if (good.length === 0 && first !== undefined) {
    throw new DistmisError("DATA_INVALID", `${dataset.dir}: all ${skipped.length} pairs are bad; ${first.reason}`);
  }
  return { good, skipped };
}

async function scanPair({ dir, modalities }: MsdDataset, pair: Pair): Promise<NiftiHeader> {
  const image = await readNiftiHeader(join(dir, pair.image));
  checkPair(image, await readNiftiHeader(join(dir, pair.label)));
  const { channels } = splitShape(image);
  if (channels !== modalities.length) {
    throw new DistmisError(
      "DATA_INVALID",
      `${image.path}: has ${channels} channels (shape ${image.shape.join(" x ")}), but dataset.json names ${modalities.length} modalities: ${modalities.join(", ")}`,
    );
  }
  return image;
}

/** Whether an error of reading and preprocessing a pair is the pair's own fault. */
export function isBadPair(error: unknown): error is DistmisError {
  return error instanceof DistmisError && (error.code === "DATA_INVALID" || error.code === "FILE_UNUSABLE");
}

export async function skippedPair(
  sourceDir: string,
  pair: Pair,
  error: DistmisError,
  found: SkippedPair["found"],
): Promise<SkippedPair> {
  return { image: pair.image, label: pair.label, reason: error.message, found, stamp: await stampOf(sourceDir, pair) };
}

/** Sizes and times of both files of a pair: another stamp says that they may have been repaired. */
export async function stampOf(sourceDir: string, { image, label }: Pair): Promise<string> {
  const one = (path: string): Promise<string> =>
    stat(join(sourceDir, path)).then(
      ({ size, mtimeMs }) => `${size}@${Math.round(mtimeMs)}`,
      () => "missing",
    );
  return `${await one(image)} ${await one(label)}`;
}
