/**
 * TFRecord files: records of [uint64 length][masked CRC32C of the length][data][masked CRC32C of the data], little-endian.
 * Source: https://www.tensorflow.org/tutorials/load_data/tfrecord.
 */
import { type FileHandle, open } from "node:fs/promises";
import { crc32c } from "@node-rs/crc32";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { total } from "./tensor-example.ts";

const HEAD_BYTES = 12;
const TAIL_BYTES = 4;
/** One read or write call moves less than 2^31 bytes on Linux. */
const MOST_BYTES_A_CALL = 2 ** 30;
/** Every protobuf implementation refuses a message from here on. */
const LONGEST_MESSAGE = 2 ** 31;

/** What a write fails with where there is no room: on the disk, in the user's share of it, in a file's legal size. */
const FULL_DISK = ["ENOSPC", "EDQUOT", "EFBIG"];

/** A failed write as an error that a person can act on. */
export function unwritable(path: string, error: unknown): DistmisError {
  const full = FULL_DISK.some((code) => hasErrno(error, code));
  const why = full ? "the disk is full, or a limit is reached; make room" : "can't be written";
  return new DistmisError("FILE_UNUSABLE", `${path}: ${why} (${messageOf(error)})`, { cause: error });
}

/** TensorFlow masks checksums so that a CRC over data that holds CRCs stays meaningful. */
function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

export interface TfrecordWriter {
  /** Appends one record, the concatenation of `pieces`. */
  write(pieces: readonly Uint8Array[]): Promise<void>;
  /** Bytes written so far. */
  size(): number;
  /** Sees to it that all that is written is on the disk. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Creates `path`, or keeps the first `keep` bytes (whole records) of what is there. Not atomic: the caller writes under another
 * name and renames. Errors: FILE_UNUSABLE.
 */
export async function createTfrecord(path: string, { keep = 0 }: { keep?: number } = {}): Promise<TfrecordWriter> {
  const usable = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw unwritable(path, error);
    }
  };
  // In append mode writes go to the end, which is where the kept records end.
  const file = await usable(open(path, "a"));
  await usable(file.truncate(keep));
  let size = keep;
  return {
    async write(pieces) {
      const length = total(pieces);
      if (length >= LONGEST_MESSAGE) {
        throw new DistmisError(
          "DATA_INVALID",
          `${path}: a sample of ${length} bytes; protobuf ends at ${LONGEST_MESSAGE}: choose a smaller shape`,
        );
      }
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeBigUInt64LE(BigInt(length), 0);
      head.writeUInt32LE(mask(crc32c(head.subarray(0, 8))), 8);
      const tail = Buffer.alloc(TAIL_BYTES);
      tail.writeUInt32LE(mask(pieces.reduce((crc, piece) => crc32c(piece, crc), 0)), 0);
      for (const piece of [head, ...pieces, tail]) await usable(writeAll(file, piece));
      size += HEAD_BYTES + length + TAIL_BYTES;
    },
    size: () => size,
    flush: () => usable(file.datasync()),
    close: () => usable(file.close()),
  };
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(bytes.length - at, MOST_BYTES_A_CALL));
    at += bytesWritten;
  }
}

export interface TfrecordEntry {
  data: Uint8Array;
  /** Where the record begins in the file. */
  offset: number;
}

/**
 * Reads a file record by record; each entry is a buffer of its own. Both checksums are verified, and lengths are compared with
 * the file's size before anything is allocated.
 * Errors: FILE_UNUSABLE; DATA_INVALID naming the file and the record's byte offset.
 */
export async function* readTfrecord(path: string): AsyncGenerator<TfrecordEntry, void, undefined> {
  const file = await open(path, "r").catch((error: unknown) => {
    const why = hasErrno(error, "ENOENT") ? "does not exist" : messageOf(error);
    throw new DistmisError("FILE_UNUSABLE", `${path}: ${why}; write the data set again with distmis tfrecord`, {
      cause: error,
    });
  });
  try {
    const { size } = await file.stat();
    for (let offset = 0; offset < size; ) {
      const corrupt = (what: string): DistmisError =>
        new DistmisError(
          "DATA_INVALID",
          `${path}: record at byte ${offset}: ${what}; the file is damaged, write the data set again`,
        );
      if (size - offset < HEAD_BYTES + TAIL_BYTES) throw corrupt("cut off");
      const head = await readExactly(file, offset, HEAD_BYTES);
      if (head === null || mask(crc32c(head.subarray(0, 8))) !== head.readUInt32LE(8))
        throw corrupt("checksum of its length is wrong");
      const length = Number(head.readBigUInt64LE(0));
      if (length > size - offset - HEAD_BYTES - TAIL_BYTES) throw corrupt(`cut off (it declares ${length} bytes)`);
      const body = await readExactly(file, offset + HEAD_BYTES, length + TAIL_BYTES);
      if (body === null) throw corrupt("cut off");
      const data = body.subarray(0, length);
      if (mask(crc32c(data)) !== body.readUInt32LE(length)) throw corrupt("checksum of its data is wrong");
      yield { data, offset };
      offset += HEAD_BYTES + length + TAIL_BYTES;
    }
  } finally {
    await file.close();
  }
}

/** Null if the file ended before. */
async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer | null> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(length - at, MOST_BYTES_A_CALL), position + at);
    if (bytesRead === 0) return null;
    at += bytesRead;
  }
  return bytes;
}
