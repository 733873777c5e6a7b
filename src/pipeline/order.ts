/** In which order volumes come, and which of them are a replica's. */
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** The positions of a split as they lie in it. */
export const inOrder = (size: number): number[] => Array.from({ length: size }, (_, index) => index);

/** A permutation of the positions of a split that follows from its size, the seed and the epoch alone. */
export function shuffled(size: number, seed: number, epoch: number): number[] {
  // Streams of different epochs are independent for all purposes.
  const generator = xoroshiro128plus(seed ^ Math.imul(epoch, 0x9e3779b1));
  const order = inOrder(size);
  for (let last = size - 1; last > 0; last--) {
    const other = uniformInt(generator, 0, last);
    const index = order[last] as number;
    order[last] = order[other] as number;
    order[other] = index;
  }
  return order;
}

/** What a replica gets of a global batch. */
export interface BatchPart {
  /** Positions in the split; none where a last batch has fewer volumes than there are replicas. */
  indices: number[];
  /** Volumes of the global batch, over all replicas. */
  total: number;
}

/**
 * One replica's parts of an epoch's global batches. A global batch is the next `replicas` x `batchSize` volumes of the order, so
 * that n replicas of batch b see what one replica of batch n b sees. A replica's part is a run of it; the parts of the last, smaller
 * one differ by at most one volume. All replicas have as many batches.
 */
export function batchParts(order: readonly number[], batchSize: number, rank = 0, replicas = 1): BatchPart[] {
  const parts: BatchPart[] = [];
  for (let start = 0; start < order.length; start += batchSize * replicas) {
    const total = Math.min(batchSize * replicas, order.length - start);
    const [from, to] = [Math.floor((total * rank) / replicas), Math.floor((total * (rank + 1)) / replicas)];
    parts.push({ indices: order.slice(start + from, start + to), total });
  }
  return parts;
}
