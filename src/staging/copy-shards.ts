/** Copies files, verified as they pass by. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type DatasetInfo, SPLITS, shardFile } from "../data/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { recordVerifier } from "../tfrecord/index.ts";

/** Large enough for a network file system, small enough to stay in the processor's cache for its checksum. */
const PIECE_BYTES = 4 * 2 ** 20;

export interface Shard {
  name: string;
  bytes: number;
}

/** All shards of a data set. */
export function shardNames(info: DatasetInfo): string[] {
  return SPLITS.flatMap((split) =>
    Array.from({ length: info[`${split}_shard`] }, (_, shard) => shardFile(split, shard)),
  );
}

/** The shards with what they have now. Errors: FILE_UNUSABLE. */
export async function shardsIn(dir: string, names: readonly string[]): Promise<Shard[]> {
  return Promise.all(
    names.map(async (name) => {
      const file = path.join(dir, name);
      try {
        return { name, bytes: (await stat(file)).size };
      } catch (error) {
        throw unreadable(file, error);
      }
    }),
  );
}

/** Whether all of them are there with their sizes. */
export async function areThere(dir: string, shards: readonly Shard[]): Promise<boolean> {
  const sizes = await Promise.all(
    shards.map(({ name }) =>
      stat(path.join(dir, name)).then(
        ({ size }) => size,
        () => -1,
      ),
    ),
  );
  return shards.every(({ bytes }, index) => sizes[index] === bytes);
}

/**
 * Copies a shard. A copy under its own name is whole and verified: all checksums of its records, its size.
 * @returns false if `stop` asked to end it
 * @throws DistmisError FILE_UNUSABLE if it can't be read, DATA_INVALID naming file, byte offset and node if it is damaged;
 * errors of the system if the copy can't be written
 */
export async function copyShard(
  from: string,
  to: string,
  { name, bytes }: Shard,
  stop: () => boolean,
): Promise<boolean> {
  const [source, target] = [path.join(from, name), path.join(to, name)];
  const part = `${target}.${randomBytes(4).toString("hex")}.part`;
  const input = await reading(source, open(source, "r"));
  try {
    const output = await open(part, "w", 0o600);
    try {
      const verifier = recordVerifier(source);
      const room = Buffer.allocUnsafe(PIECE_BYTES);
      let copied = 0;
      for (;;) {
        if (stop()) return false;
        const { bytesRead } = await reading(source, input.read(room, 0, PIECE_BYTES));
        if (bytesRead === 0) break;
        const piece = room.subarray(0, bytesRead);
        verified(() => verifier.push(piece));
        await writeAll(output, piece);
        copied += bytesRead;
      }
      verified(() => verifier.end());
      if (copied !== bytes)
        throw new DistmisError(
          "DATA_INVALID",
          `${source}: ${copied} bytes were read on ${os.hostname()}, expected ${bytes}: it changed while it was copied`,
        );
      await output.datasync();
    } finally {
      await output.close();
    }
    await rename(part, target);
    return true;
  } finally {
    await input.close();
    await rm(part, { force: true }).catch(() => {});
  }
}

function verified(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof DistmisError)) throw error;
    throw new DistmisError(error.code, `${error.message} (read on ${os.hostname()}, to be copied to its disk)`, {
      cause: error,
    });
  }
}

async function reading<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): DistmisError {
  const what = `${file} can't be read on ${os.hostname()}: ${messageOf(error)}; data must lie where all nodes see it`;
  return new DistmisError("FILE_UNUSABLE", what, { cause: error });
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
}
