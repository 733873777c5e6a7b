/**
 * What is known of a shard that grows: one line of JSON for each of its volumes, appended once the volume's records are on the
 * disk. A shard goes on after the last line that holds.
 */
import { open, readFile } from "node:fs/promises";
import { z } from "zod";
import { sampleSchema, skippedSchema } from "../data/index.ts";
import { hasErrno, unwritable } from "../errors/index.ts";
import type { Shard } from "./plan-shards.ts";
import { stampOf } from "./scan.ts";
import { isSameSource } from "./source-file.ts";

const doneSchema = z.object({
  /** Size of the shard with this volume. */
  bytes: z.int().min(0),
  /** Its records, in order; none if it was skipped. */
  samples: z.array(sampleSchema),
  skipped: skippedSchema.nullable(),
});

/** A volume of a shard that is written or skipped. */
export type Done = z.output<typeof doneSchema>;

export const logOf = (shardPath: string): string => `${shardPath}.log`;

/**
 * The volumes of a shard that are done and whose sources have not changed since: a beginning of its members.
 * @param size of the shard's file; a line that promises more doesn't hold
 */
export async function readShardLog(shardPath: string, shard: Shard, size: number, sourceDir: string): Promise<Done[]> {
  const text = await readFile(logOf(shardPath), "utf8").catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return "";
    throw error;
  });
  const done: Done[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const pair = shard.members[index]?.pair;
    const entry = parsed(line);
    if (pair === undefined || entry === null || entry.bytes > size) break;
    const [sample] = entry.samples;
    const same =
      sample === undefined
        ? entry.skipped?.image === pair.image && entry.skipped.stamp === (await stampOf(sourceDir, pair))
        : (await isSameSource(sourceDir, pair.image, sample.image)) &&
          (await isSameSource(sourceDir, pair.label, sample.label));
    if (!same) break;
    done.push(entry);
  }
  return done;
}

function parsed(line: string): Done | null {
  try {
    return doneSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

const lineOf = (done: Done): string => `${JSON.stringify(done)}\n`;

export interface ShardLog {
  append(done: Done): Promise<void>;
  close(): Promise<void>;
}

/** Opens the log of a shard, with the lines that hold and nothing behind them. Errors: FILE_UNUSABLE. */
export async function openShardLog(shardPath: string, done: readonly Done[]): Promise<ShardLog> {
  const path = logOf(shardPath);
  const refuse = (error: unknown): never => {
    throw unwritable(path, error);
  };
  const file = await open(path, "a").catch(refuse);
  await file.truncate(Buffer.byteLength(done.map(lineOf).join(""))).catch(refuse);
  return {
    append: (entry) => file.appendFile(lineOf(entry)).catch(refuse),
    close: () => file.close(),
  };
}
