/** What the work needs of the machine: disk and threads. */
import { statfs } from "node:fs/promises";
import { availableParallelism, freemem } from "node:os";
import { DistmisError } from "../errors/index.ts";
import { type Plan, recordBytes, recordsOf } from "./plan.ts";
import type { Scanned } from "./scan.ts";
import type { Done } from "./shard-log.ts";

/**
 * Compares what is still to be written, copies included, with the free space of the disk. Errors: FILE_UNUSABLE.
 * @param done for each shard, what is on the disk already
 */
export async function checkSpace(targetDir: string, plan: Plan, done: readonly (readonly Done[])[]): Promise<void> {
  const records = plan.shards.reduce(
    (sum, shard, index) => sum + (shard.members.length - (done[index]?.length ?? 0)) * recordsOf(plan, shard),
    0,
  );
  const { bavail, bsize } = await statfs(targetDir);
  const [needed, free] = [records * recordBytes(plan), bavail * bsize];
  if (needed <= free) return;
  throw new DistmisError(
    "FILE_UNUSABLE",
    `${targetDir}: the data set takes ${inWords(needed)}${done.some((each) => each.length > 0) ? " more" : ""}, ` +
      `the disk has ${inWords(free)} free; choose a smaller --reshape${plan.options.augment > 0 ? ", fewer copies (--augment)" : ""} or another disk`,
  );
}

function inWords(bytes: number): string {
  return bytes >= 1e8 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Bytes of source volumes below which a further thread costs more to start than it saves. */
const WORTH_A_THREAD = 128 * 2 ** 20;
/** What volumes in work may take together, by default. */
const MEMORY_BUDGET = 1200 * 2 ** 20;

/** Threads where the user names no number: by CPUs, memory and amount of work. */
export function defaultWorkers(plan: Plan, scanned: readonly Scanned[]): number {
  const stored = Math.max(...scanned.map(({ image }) => image.shape.reduce((voxels, side) => voxels * side, 4)));
  const volume = stored + recordBytes(plan) * (plan.options.augment > 0 ? 3 : 1);
  // Freed volumes linger until the next garbage collection.
  const memory = Math.min(MEMORY_BUDGET, freemem() * 0.5) / (1.5 * volume);
  return Math.max(1, Math.floor(Math.min(availableParallelism(), memory, (stored * scanned.length) / WORTH_A_THREAD)));
}
