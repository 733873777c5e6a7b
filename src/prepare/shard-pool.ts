import { Worker } from "node:worker_threads";
import { DistmisError } from "../errors/index.ts";
import { moduleUrl, workerUrl } from "../paths/index.ts";
import { type ShardJob, type ShardResult, writeShard } from "./shard-job.ts";
import type { FromShardWorker } from "./shard-worker.ts";

export interface PoolOptions {
  /** 1: no threads, everything in this one. */
  workers: number;
  onSample: () => void;
  signal: AbortSignal;
}

/**
 * Runs the jobs on worker threads, each with one volume in memory. Results in the order of the jobs.
 * Errors: the first job's to fail, the others are ended; INTERRUPTED when the signal fires.
 */
export async function runShardJobs(
  jobs: readonly ShardJob[],
  { workers, onSample, signal }: PoolOptions,
): Promise<ShardResult[]> {
  const stopIfAsked = (): void => {
    if (signal.aborted)
      throw new DistmisError("INTERRUPTED", "stopped; nothing was changed in the target folder", {
        cause: signal.reason,
      });
  };
  const results: ShardResult[] = [];
  if (workers <= 1) {
    for (const job of jobs) {
      results.push(
        await writeShard(job, () => {
          onSample();
          stopIfAsked();
        }),
      );
    }
    return results;
  }
  const threads = Array.from(
    { length: Math.min(workers, jobs.length) },
    () => new Worker(workerUrl(moduleUrl("prepare/shard-worker"))),
  );
  const ended = new AbortController();
  try {
    const stopped = new Promise<never>((_, reject) => {
      const stop = (): void => {
        try {
          stopIfAsked();
        } catch (error) {
          reject(error);
        }
      };
      signal.addEventListener("abort", stop, { signal: ended.signal });
      stop();
    });
    let next = 0;
    const work = threads.map(async (thread) => {
      for (let index = next++; index < jobs.length; index = next++) {
        const job = jobs[index];
        if (job !== undefined) results[index] = await runOn(thread, job, onSample);
      }
    });
    await Promise.race([Promise.all(work), stopped]);
    return results;
  } finally {
    ended.abort();
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

function runOn(thread: Worker, job: ShardJob, onSample: () => void): Promise<ShardResult> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void): void => {
      thread.off("message", onMessage);
      thread.off("error", onError);
      thread.off("exit", onExit);
      done();
    };
    const onMessage = (message: FromShardWorker): void => {
      if (message.type === "sample") onSample();
      else if (message.type === "done") settle(() => resolve(message.result));
      else {
        const { code, message: text } = message;
        settle(() => reject(code === null ? new Error(text) : new DistmisError(code, text)));
      }
    };
    const onError = (error: unknown): void => settle(() => reject(error));
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`a preprocessing thread ended with code ${code}`)));
    thread.on("message", onMessage);
    thread.on("error", onError);
    thread.on("exit", onExit);
    thread.postMessage(job);
  });
}
