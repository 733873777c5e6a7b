/** Entry of the thread that augments volumes while the main thread is inside TensorFlow. Started by prefetch.ts. */
import { parentPort } from "node:worker_threads";
import type { AugmentationConfig } from "../config/index.ts";
import type { Volume } from "../data/index.ts";
import { augment } from "./augment.ts";

/** Answered in the order of their coming. The volume's arrays have buffers of their own, which change hands. */
export interface ToAugmentThread {
  volume: Volume;
  config: AugmentationConfig;
  seed: number;
  epoch: number;
}

/** A failure is a defect: its stack. */
export type FromAugmentThread = { type: "done"; volume: Volume } | { type: "failed"; stack: string };

const port = parentPort;
if (port === null) throw new Error("augment/thread runs as a worker thread only");

const send = (message: FromAugmentThread, transfer: ArrayBufferLike[] = []): void =>
  port.postMessage(message, transfer as ArrayBuffer[]);

port.on("message", ({ volume, config, seed, epoch }: ToAugmentThread) => {
  try {
    const result = augment(volume, config, seed, epoch);
    send({ type: "done", volume: result }, [result.image.buffer, result.label.buffer]);
  } catch (error) {
    send({ type: "failed", stack: (error instanceof Error ? error.stack : undefined) ?? String(error) });
  }
});
