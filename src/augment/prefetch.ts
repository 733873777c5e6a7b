/**
 * Augmentation on a thread of its own, some volumes ahead of who uses them: a training step blocks the main thread, and
 * meanwhile the next batch is made.
 */
import { Worker } from "node:worker_threads";
import type { AugmentationConfig } from "../config/index.ts";
import type { Volume } from "../data/index.ts";
import { moduleUrl, workerUrl } from "../paths/index.ts";
import type { FromAugmentThread, ToAugmentThread } from "./thread.ts";

export interface AugmentThread {
  /** The volume's arrays are copied: it stays as it is. */
  augment(volume: Volume, config: AugmentationConfig, seed: number, epoch: number): Promise<Volume>;
  /** Ends the thread; volumes that it still has are refused. */
  close(): Promise<void>;
}

interface Waiting {
  index: number;
  resolve: (volume: Volume) => void;
  reject: (error: Error) => void;
}

export function startAugmentThread(): AugmentThread {
  const thread = new Worker(workerUrl(moduleUrl("augment/thread")));
  // The thread answers in the order in which it is asked.
  const waiting: Waiting[] = [];
  let ended: Error | null = null;
  const end = (error: Error): void => {
    ended ??= error;
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  thread.on("message", (message: FromAugmentThread) => {
    const first = waiting.shift();
    if (message.type === "done") first?.resolve(message.volume);
    else first?.reject(new Error(`augmentation of training volume ${first.index}: ${message.stack}`));
  });
  thread.on("error", (error) => end(error instanceof Error ? error : new Error(String(error))));
  thread.on("exit", (code) => end(new Error(`the augmentation thread has ended with code ${code}`)));
  return {
    augment: (volume, config, seed, epoch) =>
      new Promise((resolve, reject) => {
        if (ended) throw ended;
        waiting.push({ index: volume.index, resolve, reject });
        // Sliced: the thread must not get the cached arrays, nor the whole buffer that they may be a part of.
        const own = { ...volume, image: volume.image.slice(), label: volume.label.slice() };
        const message: ToAugmentThread = { volume: own, config, seed, epoch };
        thread.postMessage(message, [own.image.buffer, own.label.buffer]);
      }),
    close: async () => {
      await thread.terminate();
    },
  };
}

/** `work` on each item, in order, begun for up to `count` items beyond the one that is used. */
export async function* ahead<From, To>(
  items: AsyncIterable<From>,
  count: number,
  work: (item: From) => Promise<To>,
): AsyncGenerator<To> {
  const begun: Promise<To>[] = [];
  for await (const item of items) {
    const result = work(item);
    // Nobody may come for it; who does gets the error all the same.
    result.catch(() => {});
    begun.push(result);
    if (begun.length > count) yield await (begun.shift() as Promise<To>);
  }
  for (const result of begun) yield await result;
}
