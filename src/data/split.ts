import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { DistmisError } from "../errors/index.ts";

export const SPLITS = ["train", "valid", "test"] as const;
export type Split = (typeof SPLITS)[number];

/** Shares of train, valid and test; they sum to 1. */
export type SplitRatios = readonly [number, number, number];

export const DEFAULT_SPLIT: SplitRatios = [0.7, 0.15, 0.15];

/** DistMIS's number of files a split; a split of fewer samples has one file a sample. */
export const MOST_SHARDS: Readonly<Record<Split, number>> = { train: 16, valid: 4, test: 4 };

export interface SplitCounts {
  counts: Record<Split, number>;
  /** What a person should know, one sentence each. */
  notes: string[];
}

/**
 * How many of `total` samples each split gets, in the order of dataset.json. As DistMIS: train and valid are rounded down and
 * test takes the rest; where the test ratio is 0, the rest goes to the last split with a ratio above 0. A split with a ratio above 0
 * that would stay empty takes one sample from the largest; where there are fewer samples than splits, train comes before valid and
 * valid before test.
 *
 * Errors: USAGE if the ratios are not three numbers of 0 to 1 that sum to 1, or if train would be empty.
 */
export function splitCounts(total: number, ratios: SplitRatios): SplitCounts {
  checkRatios(ratios);
  const ratio: Record<Split, number> = { train: ratios[0], valid: ratios[1], test: ratios[2] };
  // 0.7 * 10 is 7.000000000000001 or 6.999999999999999 depending on the numbers: neither is meant.
  const down = (share: number): number => Math.floor(share * total + 1e-6);
  const counts: Record<Split, number> = { train: down(ratio.train), valid: down(ratio.valid), test: 0 };
  const last = ratio.test > 0 ? "test" : ratio.valid > 0 ? "valid" : "train";
  counts[last] += total - counts.train - counts.valid;

  const notes: string[] = [];
  for (const [index, split] of SPLITS.entries()) {
    if (ratio[split] === 0 || counts[split] > 0) continue;
    // A lower split gives its last sample: nothing is trained without train, nothing chosen without valid.
    const giver =
      SPLITS.reduce<Split | null>(
        (best, other) => (counts[other] >= (best === null ? 2 : counts[best]) ? other : best),
        null,
      ) ?? SPLITS.slice(index + 1).find((other) => counts[other] > 0);
    if (giver === undefined) continue;
    counts[giver]--;
    counts[split]++;
    if (counts[giver] > 0)
      notes.push(`${total} volumes times ${ratio[split]} is less than one: the ${split} split takes one from ${giver}`);
  }
  for (const split of SPLITS) {
    if (counts[split] > 0) continue;
    notes.push(
      ratio[split] === 0
        ? `the ${split} split is empty, as its ratio of 0 says`
        : `${total} volumes don't suffice for every split: the ${split} split is empty`,
    );
  }
  return { counts, notes };
}

function checkRatios(ratios: SplitRatios): void {
  const sum = ratios[0] + ratios[1] + ratios[2];
  if (!ratios.every((ratio) => ratio >= 0 && ratio <= 1) || Math.abs(sum - 1) > 1e-6) {
    throw new DistmisError(
      "USAGE",
      `--split ${ratios.join(",")}: expected three ratios from 0 to 1 that sum to 1, these sum to ${Number(sum.toPrecision(6))}`,
    );
  }
  if (ratios[0] === 0)
    throw new DistmisError("USAGE", `--split ${ratios.join(",")}: the training split can't be empty`);
}

/** Part `index` (from 1) of `of` equal parts for cross-validation. */
export interface Fold {
  index: number;
  of: number;
}

/**
 * The samples of each split, in the order of the list. Without a fold they are cut as {@link splitCounts} says. With one, every
 * `of`-th sample from the `index`-th on is the test split, and the others are train and valid in the proportion of the first two
 * ratios: over all folds each sample is tested once.
 *
 * Errors: USAGE for illegal ratios, a fold that isn't 1..of, or fewer samples than folds.
 */
export function assignSplits<T>(
  items: readonly T[],
  ratios: SplitRatios,
  fold: Fold | null,
): { members: Record<Split, T[]>; notes: string[] } {
  if (fold === null) {
    const { counts, notes } = splitCounts(items.length, ratios);
    const valid = counts.train + counts.valid;
    const members = {
      train: items.slice(0, counts.train),
      valid: items.slice(counts.train, valid),
      test: items.slice(valid),
    };
    return { members, notes };
  }
  checkSplits(ratios, fold);
  if (fold.of > items.length)
    throw new DistmisError("USAGE", `--fold ${fold.index}/${fold.of}: there are only ${items.length} labelled volumes`);
  const held = (index: number): boolean => index % fold.of === fold.index - 1;
  const both = ratios[0] + ratios[1];
  const rest = assignSplits(
    items.filter((_, index) => !held(index)),
    [ratios[0] / both, ratios[1] / both, 0],
    null,
  );
  return {
    members: { ...rest.members, test: items.filter((_, index) => held(index)) },
    notes: rest.notes.filter((note) => !note.startsWith("the test split")),
  };
}

/** Errors: USAGE for illegal ratios, or a fold that isn't 1..of. */
export function checkSplits(ratios: SplitRatios, fold: Fold | null): void {
  checkRatios(ratios);
  if (fold === null) return;
  const { index, of } = fold;
  const legal = Number.isInteger(index) && Number.isInteger(of) && of >= 2 && index >= 1 && index <= of;
  if (!legal) throw new DistmisError("USAGE", `--fold ${index}/${of}: expected K/N with N from 2 and K from 1 to N`);
}

/** A copy in random order (Fisher and Yates), the same for the same seed and length on every machine. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const generator = xoroshiro128plus(seed);
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = uniformInt(generator, 0, last);
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}

/** Sample i of a split goes into file i modulo the number of files, as tf.data's Dataset.shard does. */
export function shardOf(index: number, shards: number): number {
  return index % shards;
}

export function shardFile(split: Split, shard: number): string {
  return `${split}_${shard}.tfrecord`;
}

const SHARD_NAME = /^(train|valid|test)_\d+\.tfrecord$/;

export function isShardFile(name: string): boolean {
  return SHARD_NAME.test(name);
}
