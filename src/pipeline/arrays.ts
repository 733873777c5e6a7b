/** Memory for volumes that all threads see, laid out so that TensorFlow takes it as it lies. */
import { DistmisError } from "../errors/index.ts";

/** X, Y, Z, C. */
export type VolumeShape = [number, number, number, number];

export interface VolumeArrays {
  /** (N, X, Y, Z, C) */
  images: Float32Array;
  /** (N, X, Y, Z, 1) */
  labels: Float32Array;
}

/** TensorFlow copies an array whose address is no multiple of this. */
const ALIGNMENT = 64;
/** glibc puts a block of memory of its own, and so V8 a large buffer, 16 bytes behind the begin of a page. */
const LEAD = ALIGNMENT - 16;
/** Blocks from here on are blocks of their own for certain (M_MMAP_THRESHOLD's maximum). */
const OWN_BLOCK = 2 ** 25 + 2 ** 12;
/** Below, a copy takes no time that matters. */
const WORTH_ALIGNING = 2 ** 23;

const voxelsOf = ([x, y, z]: VolumeShape) => x * y * z;
const imageSpan = (shape: VolumeShape, count: number) =>
  Math.ceil((count * voxelsOf(shape) * shape[3] * 4) / ALIGNMENT) * ALIGNMENT;

/** What {@link sharedMemory} needs for `count` volumes of one shape. */
export function memoryFor(shape: VolumeShape, count: number): number {
  return LEAD + imageSpan(shape, count) + count * voxelsOf(shape) * 4;
}

/** @param what named in the error: TRIAL_FAILED where the machine has no such memory */
export function sharedMemory(bytes: number, what: string): SharedArrayBuffer {
  try {
    // What is beyond `bytes` is never touched, and so never in memory.
    return new SharedArrayBuffer(bytes < WORTH_ALIGNING ? bytes : Math.max(bytes, OWN_BLOCK));
  } catch (error) {
    throw new DistmisError(
      "TRIAL_FAILED",
      `${(bytes / 2 ** 30).toFixed(2)} GiB of memory for ${what} can't be had: choose a smaller batch, crop or data.cache_gigabytes`,
      { cause: error },
    );
  }
}

/** The arrays of `count` volumes in memory of at least {@link memoryFor} bytes, or of some of them from the `first` on. */
export function arraysIn(
  memory: SharedArrayBuffer,
  shape: VolumeShape,
  count: number,
  first = 0,
  some = count,
): VolumeArrays {
  const [voxels, channels] = [voxelsOf(shape), shape[3]];
  const part = (start: number, each: number) => new Float32Array(memory, start + first * each * 4, some * each);
  return { images: part(LEAD, voxels * channels), labels: part(LEAD + imageSpan(shape, count), voxels) };
}
