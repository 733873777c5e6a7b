/** The batches of a plan, made ahead of who uses them. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { trainingShape } from "../augment/index.ts";
import { arraysIn, memoryFor, sharedMemory, type VolumeShape } from "./arrays.ts";
import type { Batch } from "./batch.ts";
import type { Cache } from "./cache.ts";
import type { Job } from "./job.ts";
import { type BatchPart, batchParts } from "./order.ts";
import type { Phase } from "./phase.ts";
import type { Pool } from "./pool.ts";

/** Batches that are made ahead of the one in use. */
const AHEAD = 2;

export interface Feed {
  /** The batches of the plan's next phase. One after the other: a batch is released before the next one is asked for. */
  phase(): AsyncGenerator<Batch, void>;
  /** Seconds that the caller has waited for batches since it last asked for this number. */
  takeWaited(): number;
  /** Drops what was made ahead; resolves when no thread is at work for this feed any more. */
  close(): Promise<void>;
}

/** What outlives a feed. */
export interface Store {
  pool: Pool;
  cache: Cache;
  /** Memory of batches that nobody uses. */
  spare: SharedArrayBuffer[];
}

interface Upcoming {
  phase: Phase;
  /** Of a volume as the batch holds it. */
  shape: VolumeShape;
  /** Null for a phase without batches. */
  part: BatchPart | null;
  /** Whether its phase ends with it. */
  last: boolean;
}

interface Made {
  batch: Batch | null;
  last: boolean;
  /** The threads' work for it; null if there is none. */
  ready: Promise<unknown> | null;
}

function* upcomingOf(plan: Iterable<Phase>): Generator<Upcoming, void> {
  for (const phase of plan) {
    const shape = trainingShape(phase.index.shape, phase.augmentation?.config);
    const parts = batchParts(phase.order, phase.batchSize, phase.rank, phase.replicas);
    if (parts.length === 0) yield { phase, shape, part: null, last: true };
    for (const [at, part] of parts.entries()) yield { phase, shape, part, last: at === parts.length - 1 };
  }
}

/** @param plan is gone through as far as batches are made */
export function startFeed({ pool, cache, spare }: Store, plan: Iterable<Phase>): Feed {
  const upcoming = upcomingOf(plan);
  const queue: Made[] = [];
  const begun = new Set<Promise<unknown>>();
  let [waited, closed] = [0, false];

  function start(job: Job, settled: (done: boolean) => void): Promise<unknown> {
    const work = pool.run(job).then(settled, (error: unknown) => {
      settled(false);
      throw error;
    });
    begun.add(work);
    // Nobody may come for it; who does gets the error all the same.
    work.catch(() => {}).finally(() => begun.delete(work));
    return work;
  }

  /** How a volume is had; `settled` is to be told whether its job was done. */
  function had({ index: { split, records, shape }, augmentation }: Phase, index: number) {
    const key = `${split} ${index}`;
    const kept = cache.find(key);
    const room = kept ?? cache.reserve(key, shape);
    const job: Job = {
      index,
      shape,
      record: kept ? null : (records[index] ?? null),
      cached: room,
      target: null,
      augmentation,
    };
    return { job, settled: (done: boolean) => room && !kept && cache.settle(key, done) };
  }

  function spareMemory(bytes: number): SharedArrayBuffer {
    const fits = spare.findIndex((memory) => memory.byteLength >= bytes);
    if (fits >= 0) return spare.splice(fits, 1)[0] as SharedArrayBuffer;
    // One that is too small makes room for this one.
    spare.pop();
    return sharedMemory(bytes, "a batch");
  }

  function make({ phase, shape, part, last }: Upcoming): Made {
    if (part === null) return { batch: null, last, ready: null };
    const { indices, total } = part;
    const [first] = indices;
    if (first === undefined) {
      const none = new Float32Array();
      return { batch: { images: none, labels: none, shape, indices, total, release: () => {} }, last, ready: null };
    }
    const volumes = indices.map((index) => had(phase, index));
    const [alone] = volumes;
    if (volumes.length === 1 && alone?.job.cached && !phase.augmentation) {
      // A volume that is kept is the batch as it lies.
      const arrays = arraysIn(alone.job.cached, shape, 1);
      const ready = alone.job.record ? start(alone.job, alone.settled) : null;
      return { batch: { ...arrays, shape, indices, total, release: () => {} }, last, ready };
    }
    const count = volumes.length;
    const memory = spareMemory(memoryFor(shape, count));
    const jobs = volumes.map(({ job, settled }, position) =>
      start({ ...job, target: { memory, shape, count, position } }, settled),
    );
    const ready = Promise.all(jobs);
    ready.catch(() => {});
    const release = () => void spare.push(memory);
    return { batch: { ...arraysIn(memory, shape, count), shape, indices, total, release }, last, ready };
  }

  function fill(): void {
    while (!closed && queue.length < AHEAD) {
      const next = upcoming.next();
      if (next.done) return;
      queue.push(make(next.value));
    }
  }

  fill();
  return {
    async *phase() {
      for (;;) {
        const made = queue.shift();
        fill();
        if (!made) return;
        if (made.ready) {
          const wanted = performance.now();
          // The threads' answers may have come while TensorFlow blocked this thread.
          await nextTurn();
          await made.ready;
          waited += (performance.now() - wanted) / 1000;
        }
        if (made.batch) yield made.batch;
        if (made.last) return;
      }
    },
    takeWaited() {
      const seconds = waited;
      waited = 0;
      return seconds;
    },
    async close() {
      closed = true;
      pool.drop();
      await Promise.allSettled(begun);
      for (const { batch } of queue.splice(0)) batch?.release();
    },
  };
}
