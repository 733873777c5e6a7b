/**
 * TFRecords to batches. A data set is opened once in a trainer: where its records lie, threads that read, decode and
 * augment, and a cache of decoded volumes. A feed goes through a plan of phases (an epoch's training, its validation, the next
 * epoch's training ...) and makes the next batches, also those of the next phase, while TensorFlow computes.
 */
export type { Batch } from "./batch.ts";
export { type DataSet, fingerprintOf, openDataSet } from "./data-set.ts";
export type { Feed } from "./feed.ts";
export { batchParts, inOrder, shuffled } from "./order.ts";
export type { Phase } from "./phase.ts";
export { indexSplit, type SplitIndex } from "./split-index.ts";
