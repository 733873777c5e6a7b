import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/** Deflate can't expand a stream by more than this (1032:1), so a gzip file of n bytes holds at most n times as much. */
const MAX_DEFLATE_RATIO = 1032;
/** What may lie behind the voxels before a file is taken for something else: passed over, never kept. */
const MAX_TRAILING_BYTES = 64 * 2 ** 20;
/** Smaller chunks cost more turns of the event loop, larger ones fall out of the processor's cache. */
const CHUNK_BYTES = 2 ** 20;
/** zlib refuses a smaller output buffer. */
const LEAST_CHUNK_BYTES = 64;

/** A file read from front to back, gunzipped on the way if its content (not its name) is gzip. */
export interface ByteSource {
  readonly path: string;
  readonly gzip: boolean;
  /** Most bytes that the whole file can possibly hold, known before any of it is read. */
  readonly upperBound: number;
  /** The next bytes; fewer than `length` at the end of the file. */
  read(length: number): Promise<Buffer>;
  /** Fills `target`; returns how many bytes there were. */
  readInto(target: Uint8Array): Promise<number>;
  /** Passes over bytes without keeping them; returns how many there were. */
  skip(length: number): Promise<number>;
  /** Goes to the end, so that zlib compares length and CRC of every gzip member. Refuses an absurd rest. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens `path`. Errors: FILE_UNUSABLE if it isn't a file that can be read, from every method too; DATA_INVALID from every
 * method if the gzip stream is damaged.
 */
export async function openByteSource(path: string): Promise<ByteSource> {
  const cantRead = (error: unknown): DistmisError => {
    const why = hasErrno(error, "ENOENT") ? "there is no such file" : `can't be read: ${messageOf(error)}`;
    return new DistmisError("FILE_UNUSABLE", `${path}: ${why}`, { cause: error });
  };
  // Without O_NONBLOCK, opening a named pipe would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw cantRead(error);
  });
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new DistmisError("FILE_UNUSABLE", `${path}: expected a file, found something else`);
    const magic = Buffer.alloc(2);
    const { bytesRead } = await file.read(magic, 0, 2, 0);
    const gzip = bytesRead === 2 && magic[0] === 0x1f && magic[1] === 0x8b;
    return gzip ? gzipSource(path, file, status.size, cantRead) : plainSource(path, file, status.size, cantRead);
  } catch (error) {
    await file.close();
    throw error instanceof DistmisError ? error : cantRead(error);
  }
}

type CantRead = (error: unknown) => DistmisError;

function plainSource(path: string, file: FileHandle, fileBytes: number, cantRead: CantRead): ByteSource {
  let position = 0;

  async function readInto(target: Uint8Array): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await file.read(target, done, target.length - done, position).catch((error: unknown) => {
        throw cantRead(error);
      });
      if (bytesRead === 0) break;
      done += bytesRead;
      position += bytesRead;
    }
    return done;
  }

  return {
    path,
    gzip: false,
    upperBound: fileBytes,
    async read(length) {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, await readInto(bytes));
    },
    readInto,
    async skip(length) {
      const there = Math.max(0, Math.min(length, fileBytes - position));
      position += there;
      return there;
    },
    async finish() {
      if (fileBytes - position > MAX_TRAILING_BYTES) throw tooMuch(path);
    },
    close: () => file.close(),
  };
}

function gzipSource(path: string, file: FileHandle, fileBytes: number, cantRead: CantRead): ByteSource {
  const upperBound = fileBytes * MAX_DEFLATE_RATIO;
  const raw = file.createReadStream({
    start: 0,
    autoClose: false,
    highWaterMark: Math.min(CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, fileBytes)),
  });
  const gunzip = createGunzip({ chunkSize: Math.min(CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, upperBound)) });
  let readError: unknown = null;
  raw.on("error", (error) => {
    readError = error;
  });
  // The iterator below sees every error; the callback only keeps pipeline from rethrowing it.
  const stream = pipeline(raw, gunzip, () => {});
  const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]();
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
        if (readError !== null) throw cantRead(readError);
        throw new DistmisError(
          "DATA_INVALID",
          `${path}: the gzip stream is damaged or cut off (${messageOf(error)}); fetch the file again`,
          { cause: error },
        );
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
    path,
    gzip: true,
    upperBound,
    async read(length) {
      const bytes = Buffer.alloc(length);
      const done = await take(length, (part, at) => bytes.set(part, at));
      return bytes.subarray(0, done);
    },
    readInto: (target) => take(target.length, (part, at) => target.set(part, at)),
    skip: (length) => take(length, () => {}),
    async finish() {
      const rest = await take(MAX_TRAILING_BYTES + 1, () => {});
      if (rest > MAX_TRAILING_BYTES) throw tooMuch(path);
    },
    async close() {
      stream.destroy();
      await chunks.return?.();
      await file.close();
    },
  };
}

function tooMuch(path: string): DistmisError {
  return new DistmisError(
    "DATA_INVALID",
    `${path}: more than ${MAX_TRAILING_BYTES / 2 ** 20} MiB follow what the header declares; the file is damaged or not what it claims`,
  );
}
