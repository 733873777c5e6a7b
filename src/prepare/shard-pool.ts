import { Worker } from "node:worker_threads";
import { DistmisError } from "../errors/index.ts";
import { moduleUrl, workerUrl } from "../paths/index.ts";
import { type Room, type ShardJob, writeShard } from "./shard-job.ts";
import type { Done } from "./shard-log.ts";
import type { FromShardWorker, ToShardWorker } from "./shard-worker.ts";

export interface PoolOptions {
  /** 1: no threads, everything in this one. */
  workers: number;
  onVolume: () => void;
  /** Ends the work after the volumes in hand. */
  signal: AbortSignal;
}

/**
 * Runs the jobs on worker threads, each with one volume in memory. Returns what is done of each job, in their order: all of it
 * unless the signal has fired. Errors: the first job's to fail; the others are ended where they are.
 */
export async function runShardJobs(jobs: readonly ShardJob[], options: PoolOptions): Promise<Done[][]> {
  if (options.workers > 1) return inThreads(jobs, options);
  const { onVolume, signal } = options;
  const events = { onVolume, onWritten: () => {}, stopAsked: () => signal.aborted };
  const room: Room = { written: null };
  const results: Done[][] = [];
  for (const job of jobs) results.push(await writeShard(job, events, room));
  return results;
}

async function inThreads(jobs: readonly ShardJob[], { workers, onVolume, signal }: PoolOptions): Promise<Done[][]> {
  const threads = Array.from(
    { length: Math.min(workers, jobs.length) },
    () => new Worker(workerUrl(moduleUrl("prepare/shard-worker"))),
  );
  const post = (thread: Worker, message: ToShardWorker): void => thread.postMessage(message);
  const stop = (): void => {
    for (const thread of threads) post(thread, { type: "stop" });
  };
  const results = jobs.map(({ done }) => done);
  try {
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    await new Promise<void>((resolve, reject) => {
      let [next, open] = [0, jobs.length];
      const give = (thread: Worker): void => {
        const index = next++;
        const job = jobs[index];
        if (job !== undefined) post(thread, { type: "write", index, job });
      };
      for (const thread of threads) {
        thread.on("message", (message: FromShardWorker) => {
          if (message.type === "volume") onVolume();
          else if (message.type === "ready") give(thread);
          else if (message.type === "done") {
            results[message.index] = message.done;
            if (--open === 0) resolve();
          } else {
            const { code, message: text } = message;
            reject(code === null ? new Error(text) : new DistmisError(code, text));
          }
        });
        thread.on("error", reject);
        thread.on("exit", (code) => reject(new Error(`a preprocessing thread ended with code ${code}`)));
        give(thread);
      }
      if (jobs.length === 0) resolve();
    });
    return results;
  } finally {
    signal.removeEventListener("abort", stop);
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}
