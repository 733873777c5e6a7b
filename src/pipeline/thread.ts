/**
 * Entry of the pool's threads. Each job goes to all of them; a thread that is free draws the next number and does the job of that
 * number. So the jobs are begun in their order by whoever is free, and the main thread, which TensorFlow blocks, is not asked.
 */
import { parentPort, workerData } from "node:worker_threads";
import { augment } from "../augment/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { arraysIn, memoryFor, sharedMemory, type VolumeArrays, type VolumeShape } from "./arrays.ts";
import { DROPPED_BELOW, type FromThread, type Job, NEXT_NUMBER, type ToThread } from "./job.ts";
import { recordReader } from "./read-volume.ts";

const port = parentPort;
if (port === null) throw new Error("pipeline/thread runs as a worker thread only");
const numbers = new Int32Array(workerData as SharedArrayBuffer);
const reader = recordReader();
/** For a volume that is neither kept nor goes into a batch as it is. */
let passing: SharedArrayBuffer | null = null;

function passingArrays(shape: VolumeShape): VolumeArrays {
  const bytes = memoryFor(shape, 1);
  if (passing === null || passing.byteLength < bytes) passing = sharedMemory(bytes, "a volume");
  return arraysIn(passing, shape, 1);
}

function work({ index, shape, record, cached, target, augmentation }: Job): void {
  const place = target && arraysIn(target.memory, target.shape, target.count, target.position, 1);
  const decoded = cached ? arraysIn(cached, shape, 1) : place && !augmentation ? place : passingArrays(shape);
  if (record) reader.read(record, shape, decoded);
  if (!place || place === decoded) return;
  const own = { image: place.images, label: place.labels };
  const volume = { image: decoded.images, label: decoded.labels, imageShape: shape, index };
  const { image, label } = augmentation
    ? augment(volume, augmentation.config, augmentation.seed, augmentation.epoch, own)
    : volume;
  if (image !== own.image) own.image.set(image);
  if (label !== own.label) own.label.set(label);
}

let drawn = Atomics.add(numbers, NEXT_NUMBER, 1);

port.on("message", ({ number, job }: ToThread) => {
  if (number !== drawn) return;
  let answer: FromThread;
  try {
    const done = number >= Atomics.load(numbers, DROPPED_BELOW);
    if (done) work(job);
    answer = { type: "settled", number, done };
  } catch (error) {
    const known = error instanceof DistmisError;
    answer = {
      type: "failed",
      number,
      code: known ? error.code : null,
      message: known ? error.message : ((error instanceof Error ? error.stack : undefined) ?? messageOf(error)),
    };
  }
  port.postMessage(answer);
  drawn = Atomics.add(numbers, NEXT_NUMBER, 1);
});
