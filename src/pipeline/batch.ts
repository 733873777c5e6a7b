import type { VolumeShape } from "./arrays.ts";

/** One replica's part of a batch. */
export interface Batch {
  /** (N, X, Y, Z, C), C running fastest. TensorFlow takes it without a copy. */
  images: Float32Array;
  /** (N, X, Y, Z, 1); 0 or 1, or the class's place from 0. */
  labels: Float32Array;
  /** [X, Y, Z, C] of a volume. */
  shape: VolumeShape;
  /** Positions of its N volumes in their split. */
  indices: readonly number[];
  /** Volumes of the batch over all replicas. */
  total: number;
  /**
   * Gives the arrays back. To be called once, when nobody reads them any more: tensors made of them are disposed of, and what
   * was computed with them has been waited for.
   */
  release(): void;
}
