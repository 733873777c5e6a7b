/**
 * The hidden folder in which a data set grows. It survives an interrupted run, so that the same command goes on; a data set from
 * other options or another list of volumes begins anew.
 */
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packageVersion } from "../paths/index.ts";
import type { Plan } from "./plan.ts";
import type { Shard } from "./plan-shards.ts";
import { type Done, readShardLog } from "./shard-log.ts";

export const PARTIAL_DIR = ".distmis-partial";
const MANIFEST_FILE = "manifest.json";

export interface Partial {
  dir: string;
  /** For each shard what is done of it. */
  done: Done[][];
  /** Whether something was thrown away that another command has left. */
  discarded: boolean;
}

/** What must be the same for a run to go on where another one ended. */
function manifestOf(plan: Plan): string {
  return `${JSON.stringify({ format: 1, distmis: packageVersion(), ...plan })}\n`;
}

/** Takes over what an interrupted run of the same plan has left in the target folder, or makes an empty folder. */
export async function openPartial(targetDir: string, plan: Plan): Promise<Partial> {
  const dir = join(targetDir, PARTIAL_DIR);
  const manifest = manifestOf(plan);
  const found = await readFile(join(dir, MANIFEST_FILE), "utf8").catch(() => null);
  if (found === manifest) {
    const done: Done[][] = [];
    for (const shard of plan.shards) done.push(await doneOf(dir, shard, plan.dataset.dir));
    return { dir, done, discarded: false };
  }
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir);
  await writeFile(join(dir, MANIFEST_FILE), manifest, { flush: true });
  return { dir, done: plan.shards.map(() => []), discarded: found !== null };
}

async function doneOf(dir: string, shard: Shard, sourceDir: string): Promise<Done[]> {
  const path = join(dir, shard.file);
  const status = await stat(path).catch(() => null);
  return status === null ? [] : readShardLog(path, shard, status.size, sourceDir);
}
