/** One pass over a split. */
import type { Augmentation } from "./job.ts";
import type { SplitIndex } from "./split-index.ts";

export interface Phase {
  index: SplitIndex;
  /** Positions in the split, each once. */
  order: readonly number[];
  /** Volumes a batch of one replica. */
  batchSize: number;
  /** Null: the volumes as they are. */
  augmentation: Augmentation | null;
  /** Whose part is wanted, see {@link batchParts}; default 0 of 1. */
  rank?: number;
  replicas?: number;
}
