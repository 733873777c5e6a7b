/** Writes TFRecord files. */
import { type FileHandle, open } from "node:fs/promises";
import { DistmisError, unwritable } from "../errors/index.ts";
import { total } from "./example.ts";
import { HEAD_BYTES, headOf, TAIL_BYTES, tailOf } from "./frame.ts";

/** One write call moves less than 2^31 bytes on Linux. */
const MOST_BYTES_A_CALL = 2 ** 30;
/** Every protobuf implementation refuses a message from here on. */
const LONGEST_MESSAGE = 2 ** 31;

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
      for (const piece of [headOf(length), ...pieces, tailOf(pieces)]) await usable(writeAll(file, piece));
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
