/** Threads that read, decode and augment volumes. */
import { Worker } from "node:worker_threads";
import { DistmisError } from "../errors/index.ts";
import { moduleUrl, workerUrl } from "../paths/index.ts";
import { DROPPED_BELOW, type FromThread, type Job, SHARED_NUMBERS, type ToThread } from "./job.ts";

export interface Pool {
  /** Starts the threads that so many jobs at once need, so that they are there when the jobs come. */
  prepare(jobs: number): void;
  /** Whether the job was done; false if it was dropped before its turn. Errors: the thread's; that a thread has died. */
  run(job: Job): Promise<boolean>;
  /** Drops the jobs that have not begun. */
  drop(): void;
  /** Whether a thread has died; then no job is done any more. */
  failed(): boolean;
  /** Ends the threads; jobs that they still have fail. */
  close(): Promise<void>;
}

interface Waiting {
  job: Job;
  resolve: (done: boolean) => void;
  reject: (error: Error) => void;
}

/**
 * @param most threads. They are started as jobs come; none keeps the process alive without a job.
 * @param entry of a thread, see thread.ts
 */
export function startPool(most: number, entry: URL = moduleUrl("pipeline/thread")): Pool {
  const shared = new SharedArrayBuffer(SHARED_NUMBERS * Int32Array.BYTES_PER_ELEMENT);
  const numbers = new Int32Array(shared);
  const threads: Worker[] = [];
  const waiting = new Map<number, Waiting>();
  let next = 0;
  let ended: Error | null = null;

  const hold = (thread: Worker): void => void (waiting.size > 0 ? thread.ref() : thread.unref());
  const holdProcess = (): void => threads.forEach(hold);
  const end = (error: Error): void => {
    if (ended) return;
    ended = error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
    holdProcess();
  };
  const settle = (message: FromThread): void => {
    const one = waiting.get(message.number);
    waiting.delete(message.number);
    if (waiting.size === 0) holdProcess();
    if (message.type === "settled") one?.resolve(message.done);
    else if (message.code !== null) one?.reject(new DistmisError(message.code, message.message));
    else one?.reject(new Error(`volume ${one.job.index}: ${message.message}`));
  };
  const post = (thread: Worker, message: ToThread): void => thread.postMessage(message);
  const start = (): void => {
    const thread = new Worker(workerUrl(entry), { workerData: shared });
    thread.on("message", settle);
    thread.on("error", (error) => end(new Error("a thread that reads volumes has failed", { cause: error })));
    thread.on("exit", (code) => end(new Error(`a thread that reads volumes has ended with code ${code}`)));
    threads.push(thread);
    hold(thread);
    // It may draw the number of any job that no other thread has begun.
    for (const [number, { job }] of waiting) post(thread, { number, job });
  };

  const prepare = (jobs: number): void => {
    while (threads.length < Math.min(most, jobs)) start();
  };

  return {
    prepare,
    run: (job) =>
      new Promise((resolve, reject) => {
        if (ended) throw ended;
        const number = next++;
        for (const thread of threads) post(thread, { number, job });
        waiting.set(number, { job, resolve, reject });
        prepare(waiting.size);
        if (waiting.size === 1) holdProcess();
      }),
    drop: () => void Atomics.store(numbers, DROPPED_BELOW, next),
    failed: () => ended !== null,
    async close() {
      end(new Error("the threads that read volumes were ended"));
      await Promise.all(
        threads.map((thread) => {
          // The process must not end before the thread has.
          thread.ref();
          return thread.terminate();
        }),
      );
    },
  };
}
