import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { unwritable } from "../errors/index.ts";

/** One write call moves less than 2^31 bytes on Linux. */
const MOST_BYTES_A_CALL = 2 ** 30;

/**
 * Makes or replaces `file`: its content is the pieces one after the other. After a crash, or on a full disk, there is the file of
 * before or the new one, never a part; what a crash leaves is named `FILE.*.tmp`.
 *
 * Not the package write-file-atomic: it takes a write that moved only a part of the bytes, as on a disk that fills up or beyond
 * 2 GiB, for a whole one, and puts the part in the file's place.
 *
 * @throws DistmisError FILE_UNUSABLE, DISK_FULL
 */
export async function replaceFile(file: string, content: string | readonly Uint8Array[]): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const handle = await open(temporary, "wx", 0o644);
    try {
      for (const piece of typeof content === "string" ? [Buffer.from(content)] : content) await writeAll(handle, piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw unwritable(file, error);
  }
}

async function writeAll(handle: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length; ) {
    // A write that can't move a single byte is an error.
    at += (await handle.write(piece, at, Math.min(piece.length - at, MOST_BYTES_A_CALL))).bytesWritten;
  }
}
