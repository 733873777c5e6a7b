/** What the pool's threads are asked for, and what they answer. */
import type { AugmentationConfig } from "../config/index.ts";
import type { ErrorCode } from "../errors/index.ts";
import type { RecordPlace } from "../tfrecord/index.ts";
import type { VolumeShape } from "./arrays.ts";

/** One volume, from its record or the cache, to its place in a batch. */
export interface Job {
  /** Position in its split. */
  index: number;
  shape: VolumeShape;
  /** Null where `cached` holds the volume. */
  record: RecordPlace | null;
  /** Where the decoded volume lies, or with a record is to be kept. */
  cached: SharedArrayBuffer | null;
  /** Null: the volume is only to be kept. */
  target: Target | null;
  augmentation: Augmentation | null;
}

/** The place of one volume among the `count` of a batch. */
export interface Target {
  memory: SharedArrayBuffer;
  shape: VolumeShape;
  count: number;
  position: number;
}

export interface Augmentation {
  /** With its preset's transforms filled in. */
  config: AugmentationConfig;
  seed: number;
  epoch: number;
}

/** To every thread; each takes those whose number it has drawn. */
export interface ToThread {
  number: number;
  job: Job;
}

export type FromThread =
  /** `done` is false for a job that was dropped before its turn. */
  | { type: "settled"; number: number; done: boolean }
  /** `code` is null for a defect; then `message` is its stack. */
  | { type: "failed"; number: number; code: ErrorCode | null; message: string };

/** What the threads and who asks them share: two numbers, by their place. */
export const NEXT_NUMBER = 0;
export const DROPPED_BELOW = 1;
export const SHARED_NUMBERS = 2;
