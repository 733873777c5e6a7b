import type { PrepareOptions, Preprocessing, SkippedPair } from "../data/index.ts";
import type { MsdDataset } from "./msd.ts";
import type { Shard } from "./plan-shards.ts";

/** All that a data set follows from, but for the content of the source files. Plain data. */
export interface Plan {
  dataset: MsdDataset;
  options: PrepareOptions;
  recipe: Preprocessing;
  shards: Shard[];
  /** Pairs whose headers are bad. */
  skipped: SkippedPair[];
}

/** Records of a member of a shard: a training volume is followed by its copies. */
export function recordsOf({ options }: Plan, { split }: Shard): number {
  return split === "train" ? 1 + options.augment : 1;
}

/** Volumes in all shards. */
export function volumesOf({ shards }: Plan): number {
  return shards.reduce((sum, { members }) => sum + members.length, 0);
}

/** Bytes that the tensors of one record take. */
export function recordBytes({ recipe }: Plan): number {
  return recipe.shape.reduce((product, side) => product * side, 4) * (recipe.modalities.length + 1);
}
