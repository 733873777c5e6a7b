import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type DatasetInfo, DEFAULT_SPLIT, INFO_FILE, isShardFile } from "../data/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { takeLock } from "../lock/index.ts";
import { makeFolder } from "../paths/index.ts";
import { copiesOf } from "./copies.ts";
import { describeDataset } from "./describe-dataset.ts";
import { readMsdDataset } from "./msd.ts";
import { recordedOptions, type WriteTfrecordsOptions } from "./options.ts";
import { openPartial, type Partial } from "./partial.ts";
import { type Plan, volumesOf } from "./plan.ts";
import { planRecipe } from "./plan-recipe.ts";
import { planShards } from "./plan-shards.ts";
import { checkSpace, defaultWorkers } from "./resources.ts";
import { type Scanned, scanHeaders } from "./scan.ts";
import type { ShardJob } from "./shard-job.ts";
import type { Done } from "./shard-log.ts";
import { runShardJobs } from "./shard-pool.ts";
import { compareTarget } from "./target-state.ts";

export interface WriteProgress {
  /** check: headers of all volumes; write: volumes preprocessed and written. */
  phase: "check" | "write";
  done: number;
  total: number;
}

export interface WriteTfrecordsResult {
  status: "written" | "up-to-date";
  targetDir: string;
  info: DatasetInfo;
  /** What a person should know, one sentence each: padding, empty splits, that an interrupted run was continued. */
  notes: string[];
}

const LOCK_FILE = ".distmis.lock";

/**
 * An MSD data set to TFRecords in DistMIS's format. Atomic: until all is written the target folder stays as it was, but for a
 * hidden folder in which the data set grows; the same call goes on from there after whatever ended the work. Up to date when the
 * target was made from the same files with the same options.
 *
 * Errors: USAGE (options), FILE_UNUSABLE (files missing, target not writable, disk too full, another data set in the target),
 * DATA_INVALID (naming the files), RUN_REFUSED (another process writes there), INTERRUPTED.
 */
export async function writeTfrecords(
  options: WriteTfrecordsOptions,
  onProgress: (progress: WriteProgress) => void = () => {},
): Promise<WriteTfrecordsResult> {
  const targetDir = resolve(options.targetDir);
  const { plan, scanned, notes } = await makePlan(options, onProgress);

  const state = await compareTarget(targetDir, plan);
  if (state.kind === "up-to-date") return { status: "up-to-date", targetDir, info: state.info, notes };
  if (state.kind === "other" && options.overwrite !== true) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${targetDir}: holds another data set (${state.why}); replace it with --overwrite or name another folder`,
    );
  }

  const lock = await claim(targetDir);
  try {
    const signals = [lock.lost, ...(options.signal === undefined ? [] : [options.signal])];
    const partial = await openPartial(targetDir, plan);
    if (partial.discarded) notes.push("what an interrupted run with other options had left is thrown away");
    const info = await writeShards(targetDir, plan, partial, {
      workers: options.workers ?? defaultWorkers(plan, scanned),
      signal: AbortSignal.any(signals),
      notes,
      onProgress,
    });
    return { status: "written", targetDir, info, notes };
  } finally {
    await lock.release();
  }
}

async function makePlan(
  options: WriteTfrecordsOptions,
  onProgress: (progress: WriteProgress) => void,
): Promise<{ plan: Plan; scanned: Scanned[]; notes: string[] }> {
  const recorded = recordedOptions(options);
  const dataset = await readMsdDataset(options.sourceDir, { filesMustExist: !recorded.skip_bad });
  let checked = 0;
  const total = dataset.pairs.length;
  const { good, skipped } = await scanHeaders(dataset, recorded.skip_bad, () => {
    if (options.signal?.aborted) throw interrupted(options.signal);
    onProgress({ phase: "check", done: ++checked, total });
  });
  const { recipe, notes } = planRecipe(dataset, good, recorded);
  const cut = planShards(
    good.map(({ pair }) => pair),
    { split: options.split ?? DEFAULT_SPLIT, fold: options.fold ?? null, seed: recorded.seed },
  );
  const plan: Plan = { dataset, options: recorded, recipe, shards: cut.shards, skipped };
  return { plan, scanned: good, notes: [...notes, ...cut.notes] };
}

interface WriteOptions {
  workers: number;
  signal: AbortSignal;
  notes: string[];
  onProgress: (progress: WriteProgress) => void;
}

async function writeShards(
  targetDir: string,
  plan: Plan,
  partial: Partial,
  { workers, signal, notes, onProgress }: WriteOptions,
): Promise<DatasetInfo> {
  const total = volumesOf(plan);
  const earlier = count(partial.done);
  let volumes = earlier;
  try {
    await checkSpace(targetDir, plan, partial.done);
    if (earlier > 0) {
      notes.push(`an interrupted run was continued: ${earlier} of ${total} volumes were done already`);
      onProgress({ phase: "write", done: volumes, total });
    }
    const done = await runShardJobs(jobsOf(plan, partial), {
      workers,
      onVolume: () => onProgress({ phase: "write", done: ++volumes, total }),
      signal,
    });
    if (count(done) < total) {
      if (signal.reason instanceof DistmisError) throw signal.reason;
      throw interrupted(signal);
    }
    const { info, names } = describeDataset(plan, done);
    await publish(targetDir, partial.dir, names, info);
    return info;
  } catch (error) {
    if (volumes > 0 && error instanceof DistmisError && count(partial.done) < total) {
      throw new DistmisError(
        error.code,
        `${error.message}; ${volumes} of ${total} volumes are done and kept: the same command goes on from there`,
        { cause: error },
      );
    }
    // Nothing in it is worth keeping.
    if (volumes === 0) await rm(partial.dir, { recursive: true, force: true });
    throw error;
  }
}

const interrupted = ({ reason }: AbortSignal): DistmisError =>
  new DistmisError("INTERRUPTED", "stopped; the target folder is as it was", { cause: reason });

const count = (done: readonly (readonly Done[])[]): number => done.reduce((sum, each) => sum + each.length, 0);

/** Also those that are done: their files are opened to see to it that they are on the disk. */
function jobsOf({ dataset, options, recipe, shards }: Plan, partial: Partial): ShardJob[] {
  const copies = copiesOf(options);
  return shards.map((shard, index) => ({
    path: join(partial.dir, shard.file),
    sourceDir: dataset.dir,
    shard,
    recipe,
    copies: shard.split === "train" ? copies : null,
    skipBad: options.skip_bad,
    done: partial.done[index] ?? [],
  }));
}

/** Makes the folder and keeps other processes out of it. */
async function claim(targetDir: string): ReturnType<typeof takeLock> {
  await makeFolder(targetDir);
  try {
    return await takeLock(join(targetDir, LOCK_FILE), { what: "this data set", instead: "name another folder" });
  } catch (error) {
    if (error instanceof DistmisError) throw error;
    throw new DistmisError("FILE_UNUSABLE", `${targetDir}: can't be written to: ${messageOf(error)}`, { cause: error });
  }
}

/** info.json goes first when a data set is taken away and comes last when one is put in place: it vouches for the rest. */
async function publish(
  targetDir: string,
  partial: string,
  names: ReadonlyMap<string, string>,
  info: DatasetInfo,
): Promise<void> {
  await writeFile(join(partial, INFO_FILE), `${JSON.stringify(info, null, 1)}\n`, { flush: true });
  await rm(join(targetDir, INFO_FILE), { force: true });
  for (const name of await readdir(targetDir)) if (isShardFile(name)) await rm(join(targetDir, name));
  for (const [from, to] of names) await rename(join(partial, from), join(targetDir, to));
  await rename(join(partial, INFO_FILE), join(targetDir, INFO_FILE));
  await rm(partial, { recursive: true, force: true });
}
