import {
  assignSplits,
  type Fold,
  MOST_SHARDS,
  SPLITS,
  type Split,
  type SplitRatios,
  shardFile,
  shardOf,
  shuffled,
} from "../data/index.ts";
import type { Pair } from "./msd.ts";

/** Which volumes go into which file. */
export interface Shard {
  split: Split;
  /** Its name while it is written. */
  file: string;
  members: {
    pair: Pair;
    /** Place in the split, from 0. */
    position: number;
  }[];
}

/** Cuts the list of pairs into splits and files. With a seed the list is shuffled before. Errors: as assignSplits. */
export function planShards(
  pairs: readonly Pair[],
  { split: ratios, fold, seed }: { split: SplitRatios; fold: Fold | null; seed: number | null },
): { shards: Shard[]; notes: string[] } {
  const { members, notes } = assignSplits(seed === null ? pairs : shuffled(pairs, seed), ratios, fold);
  const shards = SPLITS.flatMap((split) => {
    const number = Math.min(members[split].length, MOST_SHARDS[split]);
    const placed = members[split].map((pair, position) => ({ pair, position }));
    return Array.from({ length: number }, (_, shard) => ({
      split,
      file: shardFile(split, shard),
      members: placed.filter(({ position }) => shardOf(position, number) === shard),
    }));
  });
  return { shards, notes };
}
