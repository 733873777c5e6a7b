/** Reads TFRecord files record by record, from anywhere in them. */
import fs from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32c } from "@node-rs/crc32";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { HEAD_BYTES, mask, TAIL_BYTES } from "./frame.ts";

/** So much is read at once: it is still in the processor's cache when its checksum is computed. */
const PIECE_BYTES = 2 ** 20;

/** Where a record lies. */
export interface RecordPlace {
  path: string;
  /** Of its first byte in the file. */
  offset: number;
  /** Bytes of its data. */
  length: number;
}

function unusable(path: string, error: unknown): DistmisError {
  const why = hasErrno(error, "ENOENT") ? "does not exist" : messageOf(error);
  return new DistmisError("FILE_UNUSABLE", `${path}: ${why}; write the data set again with distmis tfrecord`, {
    cause: error,
  });
}

export function damaged({ path, offset }: Omit<RecordPlace, "length">, what: string): DistmisError {
  return new DistmisError(
    "DATA_INVALID",
    `${path}: record at byte ${offset}: ${what}; the file is damaged, write the data set again`,
  );
}

/**
 * The places of all records of a file, in their order. Reads the heads alone: lengths are verified by their checksums and
 * against the size of the file.
 * Errors: FILE_UNUSABLE; DATA_INVALID naming the file and the record's byte offset.
 */
export async function scanTfrecord(path: string): Promise<RecordPlace[]> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    const places: RecordPlace[] = [];
    const head = Buffer.alloc(HEAD_BYTES);
    for (let offset = 0; offset < size; ) {
      if (size - offset < HEAD_BYTES + TAIL_BYTES) throw damaged({ path, offset }, "cut off");
      const { bytesRead } = await file.read(head, 0, HEAD_BYTES, offset);
      if (bytesRead < HEAD_BYTES || mask(crc32c(head.subarray(0, 8))) !== head.readUInt32LE(8)) {
        throw damaged({ path, offset }, "checksum of its length is wrong");
      }
      const length = Number(head.readBigUInt64LE(0));
      if (length > size - offset - HEAD_BYTES - TAIL_BYTES) {
        throw damaged({ path, offset }, `cut off (it declares ${length} bytes)`);
      }
      places.push({ path, offset, length });
      offset += HEAD_BYTES + length + TAIL_BYTES;
    }
    return places;
  } catch (error) {
    throw error instanceof DistmisError ? error : unusable(path, error);
  } finally {
    await file?.close();
  }
}

/**
 * Reads the data of a record into the first bytes of `room`, which holds at least its length and {@link TAIL_BYTES} more, and
 * verifies its checksum. Synchronous: for a thread that has nothing else to do.
 * Errors: FILE_UNUSABLE; DATA_INVALID naming the file and the record's byte offset.
 */
export function readRecord(place: RecordPlace, room: Uint8Array): void {
  const { path, offset, length } = place;
  let file: number | undefined;
  try {
    file = fs.openSync(path, "r");
    let crc = 0;
    for (let at = 0; at < length + TAIL_BYTES; ) {
      const wanted = Math.min(PIECE_BYTES, length + TAIL_BYTES - at);
      const bytesRead = fs.readSync(file, room, at, wanted, offset + HEAD_BYTES + at);
      if (bytesRead === 0) throw damaged(place, "cut off");
      if (at < length) crc = crc32c(room.subarray(at, Math.min(at + bytesRead, length)), crc);
      at += bytesRead;
    }
    const tail = new DataView(room.buffer, room.byteOffset + length, TAIL_BYTES);
    if (mask(crc) !== tail.getUint32(0, true)) throw damaged(place, "checksum of its data is wrong");
  } catch (error) {
    throw error instanceof DistmisError ? error : unusable(path, error);
  } finally {
    if (file !== undefined) fs.closeSync(file);
  }
}
