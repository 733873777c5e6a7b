import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  type DatasetInfo,
  INFO_FILE,
  isShardFile,
  type OwnInfo,
  type PrepareOptions,
  readInfoIfAny,
  SPLITS,
} from "../data/index.ts";
import { DistmisError, hasErrno } from "../errors/index.ts";
import { PARTIAL_DIR } from "./partial.ts";
import { type Plan, recordsOf } from "./plan.ts";
import { stampOf } from "./scan.ts";
import { isSameSource } from "./source-file.ts";

export type TargetState =
  | { kind: "free" }
  | { kind: "up-to-date"; info: DatasetInfo }
  /** Something is there that isn't what would be written; `why` completes "holds another data set (...)". */
  | { kind: "other"; why: string };

/** What the target folder holds, compared with what would be written. */
export async function compareTarget(targetDir: string, plan: Plan): Promise<TargetState> {
  const names = await readdir(targetDir).catch((error: unknown): string[] => {
    if (hasErrno(error, "ENOENT")) return [];
    throw new DistmisError("FILE_UNUSABLE", `${targetDir}: is no folder that can be read`, { cause: error });
  });
  if (!names.some((name) => name === INFO_FILE || isShardFile(name))) return { kind: "free" };
  if (!names.includes(INFO_FILE)) {
    // A run that was ended in its last moment leaves shards without an info.json: they are its own.
    if ((await sizeOf(join(targetDir, PARTIAL_DIR, INFO_FILE))) !== null) return { kind: "free" };
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

  const why = differentOptions(own, plan) ?? (await differentSources(own, plan));
  if (why !== null) return { kind: "other", why };
  // The same data set, but damaged: written again without being asked.
  return (await isWhole(own, targetDir)) ? { kind: "up-to-date", info } : { kind: "free" };
}

function differentOptions(own: OwnInfo, { options, recipe, dataset }: Plan): string | null {
  for (const key of Object.keys(options) as (keyof PrepareOptions)[]) {
    // What it comes to is in the recipe.
    if (key === "divisor") continue;
    const [was, now] = [own.options[key], options[key]];
    if (!isDeepStrictEqual(was, now)) return `made with --${key.replaceAll("_", "-")} ${shown(was)}, now ${shown(now)}`;
  }
  if (!isDeepStrictEqual(own.modalities, recipe.modalities)) return "modalities in dataset.json differ";
  if (!isDeepStrictEqual(own.classes, recipe.labels.classes)) return "labels in dataset.json differ";
  if (own.name !== dataset.name) return `made of the data set ${own.name}, now ${dataset.name}`;
  const shape = own.preprocessing.shape.join(" x ");
  if (shape !== recipe.shape.join(" x ")) return `its volumes are ${shape}, now ${recipe.shape.join(" x ")}`;
  return isDeepStrictEqual(own.preprocessing, recipe) ? null : "its preprocessing differs";
}

function shown(value: PrepareOptions[keyof PrepareOptions]): string {
  if (value === null || value === false || value === 0) return "not given";
  return typeof value === "object" && !Array.isArray(value) ? JSON.stringify(value) : String(value);
}

async function differentSources(own: OwnInfo, plan: Plan): Promise<string | null> {
  const { dir } = plan.dataset;
  for (const pair of own.skipped) {
    if (pair.stamp !== (await stampOf(dir, pair)))
      return `made without ${pair.image}, which was skipped and has changed since`;
  }
  const skipped = (found: "headers" | "voxels") =>
    own.skipped.filter((pair) => pair.found === found).map(({ image }) => image);
  const headers = plan.skipped.map(({ image }) => image);
  if (!isDeepStrictEqual(headers, skipped("headers"))) return "other pairs were skipped";
  const gaps = new Set(skipped("voxels"));
  for (const split of SPLITS) {
    const shards = plan.shards.filter((shard) => shard.split === split);
    const wanted = shards.flatMap((shard) =>
      shard.members
        .filter(({ pair }) => !gaps.has(pair.image))
        .flatMap(({ pair }) => Array.from({ length: recordsOf(plan, shard) }, (_, copy) => ({ ...pair, copy }))),
    );
    const recorded = own.samples[split];
    if (wanted.length !== recorded.length)
      return `its ${split} split has ${recorded.length} samples, now ${wanted.length}`;
    for (const [index, { image, label, copy }] of wanted.entries()) {
      const sample = recorded[index];
      for (const [path, source] of [
        [image, sample?.image],
        [label, sample?.label],
      ] as const) {
        // Copies follow their volume.
        const same = source?.path === path && (copy > 0 || (await isSameSource(dir, path, source)));
        if (!same) {
          return source?.path === path
            ? `made from another ${path}`
            : `made from ${source?.path}, now ${path} in its place`;
        }
      }
    }
  }
  return null;
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
