import { mkdir, readdir, rename, rm, statfs, writeFile } from "node:fs/promises";
import { availableParallelism, freemem } from "node:os";
import { join, resolve } from "node:path";
import { lock } from "proper-lockfile";
import {
  type DatasetInfo,
  DEFAULT_SPLIT,
  type Fold,
  INFO_FILE,
  type LabelMode,
  type OwnInfo,
  type Preprocessing,
  type SampleInfo,
  type Split,
  type SplitRatios,
  shardFile,
} from "../data/index.ts";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { type MsdDataset, readMsdDataset } from "./msd.ts";
import { planRecipe, planShards, type Reshape, type Shard, scanShapes } from "./plan.ts";
import { runShardJobs } from "./shard-pool.ts";
import { compareTarget, isShardFile } from "./target-state.ts";

export interface WriteTfrecordsOptions {
  /** Folder with dataset.json, imagesTr and labelsTr. */
  sourceDir: string;
  /** Made if it doesn't exist. */
  targetDir: string;
  /** Default 0.7, 0.15, 0.15, in the order of dataset.json. */
  split?: SplitRatios;
  /** Default: the stored shape, which must be one for all volumes. */
  reshape?: Reshape;
  /** With reshape "auto": sides are multiples of it. Default 8. */
  divisor?: number;
  /** Default "binary": every class above 0 is 1. "multiclass": the target is the class's place among dataset.json's, ascending. */
  labels?: LabelMode;
  /** Every `of`-th volume from the `index`-th (from 1) is the test split; `split`'s first two shares divide the others. */
  fold?: Fold;
  /** Replace another data set in the target folder. */
  overwrite?: boolean;
  /** Threads. Default: the machine's CPUs, fewer where memory or the amount of work say so. */
  workers?: number;
  signal?: AbortSignal;
}

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
  /** What a person should know, one sentence each: empty splits. */
  notes: string[];
}

/** Shards and info.json grow in here and are moved to their place when all are complete. */
const PARTIAL_DIR = ".distmis-partial";
const LOCK_DIR = ".distmis-lock";

/**
 * An MSD data set to TFRecords in DistMIS's format. Atomic: an interrupted run leaves the target folder as it was, but for a
 * hidden folder that the next run removes. Up to date when the target was made from the same files with the same options.
 *
 * Errors: USAGE (options), FILE_UNUSABLE (files missing, target not writable, disk too full, another data set in the target),
 * DATA_INVALID (naming the files), RUN_REFUSED (another process writes there), INTERRUPTED.
 */
export async function writeTfrecords(
  options: WriteTfrecordsOptions,
  onProgress: (progress: WriteProgress) => void = () => {},
): Promise<WriteTfrecordsResult> {
  const {
    split = DEFAULT_SPLIT,
    reshape = null,
    divisor = 8,
    labels = "binary",
    fold = null,
    overwrite = false,
  } = options;
  checkOptions(options);
  const targetDir = resolve(options.targetDir);
  const dataset = await readMsdDataset(options.sourceDir);
  const { shards, counts, notes } = planShards(dataset.pairs, split, fold);
  const wanted: OwnInfo["options"] = {
    split: [...split],
    reshape: typeof reshape === "object" && reshape !== null ? [...reshape] : reshape,
    divisor,
    labels,
    fold: fold === null ? null : `${fold.index}/${fold.of}`,
  };

  const state = await compareTarget(targetDir, dataset, shards, wanted, join(PARTIAL_DIR, INFO_FILE));
  if (state.kind === "up-to-date") return { status: "up-to-date", targetDir, info: state.info, notes };
  if (state.kind === "other" && !overwrite) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${targetDir}: holds another data set (${state.why}); replace it with --overwrite or name another folder`,
    );
  }

  const stop = new AbortController();
  const onAbort = (): void => stop.abort(options.signal?.reason);
  options.signal?.addEventListener("abort", onAbort);
  if (options.signal?.aborted) onAbort();
  const release = await claim(targetDir, stop);
  const partial = join(targetDir, PARTIAL_DIR);
  try {
    let checked = 0;
    const total = dataset.pairs.length;
    const shapes = await scanShapes(dataset, () => onProgress({ phase: "check", done: ++checked, total }));
    const recipe = planRecipe(dataset, shapes, reshape, divisor, labels);
    const sample = recipe.shape.reduce((product, side) => product * side, 4) * (recipe.modalities.length + 1);
    await checkSpace(targetDir, sample * total);

    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    let written = 0;
    const jobs = shards.map((shard) => ({
      path: join(partial, shardFile(shard.split, shard.shard)),
      sourceDir: dataset.dir,
      pairs: shard.pairs,
      recipe,
    }));
    const stored = Math.max(...shapes.map(([x, y, z]) => x * y * z)) * 4 * recipe.modalities.length;
    const results = await runShardJobs(jobs, {
      workers: Math.min(
        options.workers ?? Number.POSITIVE_INFINITY,
        jobs.length,
        defaultWorkers(options, sample + stored, stored * total),
      ),
      onSample: () => onProgress({ phase: "write", done: ++written, total }),
      signal: stop.signal,
    });
    const info = describe(dataset, recipe, wanted, counts, shards, results);
    await writeFile(join(partial, INFO_FILE), `${JSON.stringify(info, null, 1)}\n`, { flush: true });
    await publish(targetDir, partial);
    return { status: "written", targetDir, info, notes };
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    await rm(partial, { recursive: true, force: true });
    await release();
  }
}

function checkOptions({ reshape, divisor = 8, workers }: WriteTfrecordsOptions): void {
  const whole = (value: number): boolean => Number.isInteger(value) && value >= 1;
  if (Array.isArray(reshape) && !reshape.every(whole)) {
    throw new DistmisError("USAGE", `--reshape ${reshape.join(",")}: expected three whole numbers above 0, or auto`);
  }
  if (!whole(divisor)) throw new DistmisError("USAGE", `--divisor ${divisor}: expected a whole number above 0`);
  if (workers !== undefined && !whole(workers))
    throw new DistmisError("USAGE", `--workers ${workers}: expected a whole number above 0`);
}

/** Bytes of source volumes below which a further thread costs more to start than it saves. */
const WORTH_A_THREAD = 128 * 2 ** 20;

function defaultWorkers({ workers }: WriteTfrecordsOptions, bytesInFlight: number, bytesOfAll: number): number {
  if (workers !== undefined) return workers;
  // What is in flight, twice: freed volumes linger until the next garbage collection.
  const memory = Math.floor((freemem() * 0.5) / (2 * bytesInFlight));
  return Math.max(1, Math.min(availableParallelism(), memory, Math.ceil(bytesOfAll / WORTH_A_THREAD)));
}

/** Makes the folder and keeps other processes out of it. */
async function claim(targetDir: string, stop: AbortController): Promise<() => Promise<void>> {
  try {
    await mkdir(targetDir, { recursive: true });
    return await lock(targetDir, {
      lockfilePath: join(targetDir, LOCK_DIR),
      stale: 60_000,
      update: 10_000,
      onCompromised: (error) => stop.abort(error),
    });
  } catch (error) {
    if (hasErrno(error, "ELOCKED")) {
      throw new DistmisError(
        "RUN_REFUSED",
        `${targetDir}: another process is writing a data set there; wait for it or name another folder`,
      );
    }
    throw new DistmisError("FILE_UNUSABLE", `${targetDir}: can't be written to: ${messageOf(error)}`, { cause: error });
  }
}

async function checkSpace(targetDir: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(targetDir);
  if (needed > bavail * bsize) {
    const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${targetDir}: the data set takes ${gigabytes(needed)}, the disk has ${gigabytes(bavail * bsize)} free; choose a smaller --reshape or another disk`,
    );
  }
}

/** info.json goes first when a data set is taken away and comes last when one is put in place: it vouches for the rest. */
async function publish(targetDir: string, partial: string): Promise<void> {
  await rm(join(targetDir, INFO_FILE), { force: true });
  for (const name of await readdir(targetDir)) if (isShardFile(name)) await rm(join(targetDir, name));
  for (const name of await readdir(partial))
    if (isShardFile(name)) await rename(join(partial, name), join(targetDir, name));
  await rename(join(partial, INFO_FILE), join(targetDir, INFO_FILE));
}

function describe(
  dataset: MsdDataset,
  recipe: Preprocessing,
  options: OwnInfo["options"],
  counts: Record<Split, number>,
  shards: readonly Shard[],
  results: readonly { bytes: number; samples: SampleInfo[] }[],
): DatasetInfo {
  const files: Record<string, number> = {};
  const samples: Record<Split, SampleInfo[]> = { train: [], valid: [], test: [] };
  for (const [index, { split, shard }] of shards.entries()) {
    const result = results[index];
    if (result === undefined) throw new Error(`no result for shard ${split} ${shard}`);
    files[shardFile(split, shard)] = result.bytes;
    samples[split].push(...result.samples);
  }
  const number = (split: Split): number => shards.filter((shard) => shard.split === split).length;
  return {
    total_size: dataset.pairs.length,
    train_size: counts.train,
    valid_size: counts.valid,
    test_size: counts.test,
    train_shard: number("train"),
    valid_shard: number("valid"),
    test_shard: number("test"),
    distmis: {
      format: 1,
      source_dir: dataset.dir,
      name: dataset.name,
      image_shape: [recipe.modalities.length, ...recipe.shape],
      label_shape: [1, ...recipe.shape],
      modalities: recipe.modalities,
      classes: recipe.labels.classes,
      preprocessing: recipe,
      options,
      samples,
      files,
    },
  };
}
