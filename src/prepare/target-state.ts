import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type DatasetInfo, INFO_FILE, type OwnInfo, readInfoIfAny, type SourceFile, SPLITS } from "../data/index.ts";
import { DistmisError, hasErrno } from "../errors/index.ts";
import type { MsdDataset } from "./msd.ts";
import type { Shard } from "./plan.ts";
import { sha256 } from "./shard-job.ts";

export type TargetState =
  | { kind: "free" }
  | { kind: "up-to-date"; info: DatasetInfo }
  /** Something is there that isn't what would be written; `why` completes "holds another data set (...)". */
  | { kind: "other"; why: string };

const SHARD_NAME = /^(train|valid|test)_\d+\.tfrecord$/;

export function isShardFile(name: string): boolean {
  return SHARD_NAME.test(name);
}

/**
 * What the target folder holds, compared with what would be written.
 * @param publishing relative path of a file that exists only while shards are being moved to their place.
 */
export async function compareTarget(
  targetDir: string,
  dataset: MsdDataset,
  shards: readonly Shard[],
  options: OwnInfo["options"],
  publishing: string,
): Promise<TargetState> {
  const names = await readdir(targetDir).catch((error: unknown): string[] => {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${targetDir}: is no folder that can be read`, { cause: error });
  });
  if (!names.some((name) => name === INFO_FILE || isShardFile(name))) return { kind: "free" };
  if (!names.includes(INFO_FILE)) {
    // A run that was ended in its last moment leaves shards without an info.json: they are its own.
    if ((await sizeOf(join(targetDir, publishing))) !== null) return { kind: "free" };
    return { kind: "other", why: "TFRecord files without an info.json" };
  }
  let info: DatasetInfo | null;
  try {
    info = await readInfoIfAny(targetDir);
  } catch (error) {
    if (error instanceof DistmisError && error.code === "DATA_INVALID")
      return { kind: "other", why: "its info.json is not legal" };
    throw error;
  }
  const own = info?.distmis;
  if (info === null || own === undefined) return { kind: "other", why: "not written by this program" };

  const why = differentOptions(own, options, dataset) ?? (await differentSources(own, dataset, shards));
  if (why !== null) return { kind: "other", why };
  // The same data set, but damaged: written again without being asked.
  return (await isWhole(own, targetDir)) ? { kind: "up-to-date", info } : { kind: "free" };
}

function differentOptions(own: OwnInfo, options: OwnInfo["options"], dataset: MsdDataset): string | null {
  for (const key of ["split", "reshape", "divisor", "labels", "fold"] as const) {
    if (key === "divisor" && options.reshape !== "auto") continue;
    if (!isDeepStrictEqual(own.options[key], options[key])) {
      return `made with --${key} ${own.options[key] ?? "not given"}, now ${options[key] ?? "not given"}`;
    }
  }
  const classes = Object.fromEntries([...dataset.classes].map(([value, name]) => [String(value), name]));
  if (!isDeepStrictEqual(own.modalities, dataset.modalities)) return "modalities in dataset.json differ";
  return isDeepStrictEqual(own.classes, classes) ? null : "labels in dataset.json differ";
}

async function differentSources(own: OwnInfo, dataset: MsdDataset, shards: readonly Shard[]): Promise<string | null> {
  for (const split of SPLITS) {
    const pairs = shards.filter((shard) => shard.split === split).flatMap((shard) => shard.pairs);
    const recorded = own.samples[split];
    if (pairs.length !== recorded.length)
      return `its ${split} split has ${recorded.length} samples, now ${pairs.length}`;
    for (const [index, { image, label }] of pairs.entries()) {
      for (const [path, source] of [
        [image, recorded[index]?.image],
        [label, recorded[index]?.label],
      ] as const) {
        if (source === undefined || !(await isSame(dataset.dir, path, source))) {
          return source?.path === path
            ? `made from another ${path}`
            : `made from ${source?.path}, now ${path} in its place`;
        }
      }
    }
  }
  return null;
}

/** Size and time settle it for most files; only one whose time differs is read. */
async function isSame(dir: string, path: string, recorded: SourceFile): Promise<boolean> {
  if (recorded.path !== path) return false;
  const file = join(dir, path);
  const status = await stat(file);
  if (status.size !== recorded.bytes) return false;
  return Math.round(status.mtimeMs) === recorded.modified_ms || (await sha256(file)) === recorded.sha256;
}

async function isWhole(own: OwnInfo, targetDir: string): Promise<boolean> {
  for (const [name, bytes] of Object.entries(own.files)) {
    if ((await sizeOf(join(targetDir, name))) !== bytes) return false;
  }
  return true;
}

async function sizeOf(path: string): Promise<number | null> {
  return stat(path).then(
    (status) => status.size,
    () => null,
  );
}
