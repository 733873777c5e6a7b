import { open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/** Deflate can't expand a stream by more than this (1032:1), so a gzip file of n bytes holds at most n times as much. */
const MAX_DEFLATE_RATIO = 1032;
/** What may lie behind the voxels before a file is taken for something else: read and thrown away, never kept. */
const MAX_TRAILING_BYTES = 64 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;

/** A file read from front to back, gunzipped on the way if its content (not its name) is gzip. */
export interface ByteSource {
  readonly gzip: boolean;
  /** Most bytes that the rest of the file can possibly hold, known before any of it is read. */
  readonly upperBound: number;
  /** The next bytes; fewer than `length` at the end of the file. */
  read(length: number): Promise<Buffer>;
  /** Fills `target`; returns how many bytes there were. */
  readInto(target: Uint8Array): Promise<number>;
  /** Passes over bytes without keeping them; returns how many there were. */
  skip(length: number): Promise<number>;
  /** Reads to the end, so that zlib compares length and CRC of every gzip member. Refuses an absurd rest. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Opens `path`. Errors: FILE_UNUSABLE if it can't be read; every method throws DATA_INVALID if the gzip stream is damaged. */
export async function openByteSource(path: string): Promise<ByteSource> {
  const file = await open(path, "r").catch((error: unknown) => {
    const why = hasErrno(error, "ENOENT") ? "there is no such file" : messageOf(error);
    throw new DistmisError("FILE_UNUSABLE", `${path}: ${why}`, { cause: error });
  });
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new DistmisError("FILE_UNUSABLE", `${path}: expected a file, found something else`);
    const magic = Buffer.alloc(2);
    const { bytesRead } = await file.read(magic, 0, 2, 0);
    const gzip = bytesRead === 2 && magic[0] === 0x1f && magic[1] === 0x8b;
    const raw = file.createReadStream({ start: 0, highWaterMark: CHUNK_BYTES });
    // The iterator below sees every error; the callback only keeps pipeline from rethrowing it.
    const stream = gzip ? pipeline(raw, createGunzip({ chunkSize: CHUNK_BYTES }), () => {}) : raw;
    return byteSource(path, stream, gzip, status.size);
  } catch (error) {
    await file.close();
    throw error;
  }
}

interface ChunkStream extends AsyncIterable<Buffer> {
  destroy(): unknown;
}

function byteSource(path: string, stream: ChunkStream, gzip: boolean, fileBytes: number): ByteSource {
  const chunks = stream[Symbol.asyncIterator]();
  let chunk: Buffer = Buffer.alloc(0);
  let ended = false;

  async function fill(): Promise<boolean> {
    while (chunk.length === 0 && !ended) {
      try {
        const next = await chunks.next();
        if (next.done) ended = true;
        else chunk = next.value;
      } catch (error) {
        ended = true;
        const what = gzip ? "the gzip stream is damaged or cut off" : "can't be read";
        throw new DistmisError("DATA_INVALID", `${path}: ${what} (${messageOf(error)}); fetch the file again`, {
          cause: error,
        });
      }
    }
    return chunk.length > 0;
  }

  async function take(length: number, use: (part: Buffer, at: number) => void): Promise<number> {
    let done = 0;
    while (done < length && (await fill())) {
      const part = chunk.subarray(0, Math.min(chunk.length, length - done));
      use(part, done);
      done += part.length;
      chunk = chunk.subarray(part.length);
    }
    return done;
  }

  return {
    gzip,
    upperBound: gzip ? fileBytes * MAX_DEFLATE_RATIO : fileBytes,
    async read(length) {
      const bytes = Buffer.alloc(length);
      const done = await take(length, (part, at) => bytes.set(part, at));
      return bytes.subarray(0, done);
    },
    readInto: (target) => take(target.length, (part, at) => target.set(part, at)),
    skip: (length) => take(length, () => {}),
    async finish() {
      const rest = await take(MAX_TRAILING_BYTES + 1, () => {});
      if (rest > MAX_TRAILING_BYTES) {
        throw new DistmisError(
          "DATA_INVALID",
          `${path}: more than ${MAX_TRAILING_BYTES / 2 ** 20} MiB follow the voxels that the header declares; it is damaged or not what it claims`,
        );
      }
    },
    async close() {
      stream.destroy();
      await chunks.return?.();
    },
  };
}
