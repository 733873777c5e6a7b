/** A data set at work in a trainer: what is known and kept of it from trial to trial. */
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { type DatasetInfo, INFO_FILE, type Split } from "../data/index.ts";
import { volumeCache } from "./cache.ts";
import { type Feed, type Store, startFeed } from "./feed.ts";
import type { Phase } from "./phase.ts";
import { startPool } from "./pool.ts";
import { indexSplit, type SplitIndex } from "./split-index.ts";

/** Each thread holds a whole record, and a few of them are as fast as memory is. */
const MOST_THREADS = 8;

/** The owner's name in the memory that outlives a trial. */
const KEY = "pipeline";

export interface DataSet {
  /** Errors: see {@link indexSplit}. */
  index(split: Split): Promise<SplitIndex>;
  /** Starts the threads for batches of this size while something else is loaded. */
  prepare(batchSize: number): void;
  /** Starts to make the batches of a plan. One feed at a time: the one before is closed. */
  feed(plan: Iterable<Phase>): Feed;
}

export interface DataSetOptions {
  dir: string;
  /** Where its shards are read, if that is a copy elsewhere. */
  copy?: string | undefined;
  /** Of that folder. */
  info: DatasetInfo;
  /** The trainer's memory between trials. */
  shared: Map<string, unknown>;
  /** Bytes of decoded volumes to keep, over all splits. */
  budget: number;
  /** At most so many threads read. */
  threads: number;
  /** Called when what was kept of another data set has been let go, but not yet collected. */
  onLetGo?: () => void;
}

interface Held extends Store {
  /** Of which data set. */
  fingerprint: string;
  indices: Map<Split, SplitIndex>;
}

/** Opens a data set, or comes back to it: then its volumes may be in memory already, and its threads run. */
export async function openDataSet(options: DataSetOptions): Promise<DataSet> {
  const { dir, copy = dir, info, shared, threads } = options;
  const fingerprint = `${await fingerprintOf(dir, info)} ${copy}`;
  let held = shared.get(KEY) as Held | undefined;
  if (held?.fingerprint !== fingerprint || held.pool.failed()) {
    shared.delete(KEY);
    await held?.pool.close();
    const stale = held !== undefined;
    held = {
      fingerprint,
      pool: startPool(Math.min(threads, MOST_THREADS)),
      cache: volumeCache(),
      spare: [],
      indices: new Map(),
    };
    if (stale) options.onLetGo?.();
    shared.set(KEY, held);
  }
  const { cache, indices } = held;
  cache.limit(options.budget);
  const store = held;
  return {
    async index(split) {
      const index = indices.get(split) ?? (await indexSplit(copy, info, split));
      indices.set(split, index);
      return index;
    },
    prepare: (batchSize) => store.pool.prepare(batchSize),
    feed: (plan) => startFeed(store, plan),
  };
}

/** Changes when info.json does, which is written last. */
export async function fingerprintOf(dir: string, info: DatasetInfo): Promise<string> {
  const { mtimeMs, ino } = await fs.stat(path.join(dir, INFO_FILE));
  const content = createHash("sha256").update(JSON.stringify(info)).digest("hex");
  return `${path.resolve(dir)} ${ino} ${mtimeMs} ${content}`;
}
