/** A journal as it grows, read by whoever sees its file: no lock, no connection, nothing written. */
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { decodeLine, isWholeLine, MAX_LINE_BYTES, NEWLINE, tooLong } from "./decode-record.ts";
import type { JournalRecord } from "./record.ts";

export type JournalNews =
  /** In their order, each once; at most a megabyte of the file. */
  | { type: "records"; records: JournalRecord[] }
  /** Another journal lies there now: forget what was told, the new one follows from its first record. */
  | { type: "replaced" }
  /**
   * All that is there was told. Comes after each look; `size` is 0 while there is no file. `unsettled`: but for a line that can't be
   * read, with others behind it; if it stays so, the journal is damaged.
   */
  | { type: "quiet"; size: number; unsettled: boolean };

export interface FollowOptions {
  /** Ends the iteration, without an error. */
  signal?: AbortSignal;
  /** Between two looks. Default 500. */
  lookMilliseconds?: number;
}

const LOOK_MILLISECONDS = 500;
const PIECE_BYTES = 1 << 20;
/** Network file systems show for a moment a file's new length before its new content. */
const SETTLE_MILLISECONDS = 5_000;

/**
 * Follows the journal `file`, which need not be there yet. It looks again and again, as no network file system tells of what other
 * hosts write, and opens the file anew each time: that is when such a one asks its server.
 * @throws DistmisError RUN_REFUSED if the journal is damaged or of a newer version; FILE_UNUSABLE if it can't be read
 */
export async function* followJournal(
  file: string,
  { signal, lookMilliseconds = LOOK_MILLISECONDS }: FollowOptions = {},
): AsyncGenerator<JournalNews, void, undefined> {
  let reader = createReader(file);
  const stopped = (): boolean => signal?.aborted === true;
  while (!stopped()) {
    const handle = await opened(file);
    let size = 0;
    try {
      size = (await handle?.stat())?.size ?? 0;
      if (!(await reader.isSame(handle, size))) {
        yield { type: "replaced" };
        reader = createReader(file);
      }
      while (handle !== null) {
        const records = await reader.next(handle);
        if (records.length === 0) break;
        yield { type: "records", records };
        if (stopped()) return;
      }
    } catch (error) {
      // The file was replaced on its server while it was read.
      if (!hasErrno(error, "ESTALE")) throw unreadable(file, error);
    } finally {
      await handle?.close();
    }
    yield { type: "quiet", size, unsettled: reader.isUnsettled() };
    await delay(lookMilliseconds, undefined, { ...(signal === undefined ? {} : { signal }) }).catch(() => {});
  }
}

async function opened(file: string): Promise<FileHandle | null> {
  try {
    return await open(file);
  } catch (error) {
    if (hasErrno(error, "ENOENT") || hasErrno(error, "ESTALE")) return null;
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): DistmisError {
  if (error instanceof DistmisError) return error;
  return new DistmisError("FILE_UNUSABLE", `${file}: can't be read: ${messageOf(error)}`, { cause: error });
}

function createReader(file: string) {
  /** The first line, with its newline: no two runs have the same. */
  let first: Buffer | null = null;
  /** Bytes, lines and records that were told. */
  let position = 0;
  let line = 0;
  let lastSeq = 0;
  let unsettledSince: number | null = null;

  /** The records at the start of `data`, which is all or a piece of what follows `position`. */
  const take = (data: Buffer): JournalRecord[] => {
    const records: JournalRecord[] = [];
    let at = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, at)) {
      const bytes = data.subarray(at, end);
      const decoded = decodeLine(`${file}:${line + 1}`, bytes, lastSeq + 1);
      if (typeof decoded === "string") {
        unsettled(decoded, data.subarray(end + 1));
        break;
      }
      if (decoded.seq === 1) {
        first = Buffer.from(data.subarray(at, end + 1));
        if (decoded.type !== "run_started")
          throw new DistmisError("RUN_REFUSED", `${file}: expected a run's start first, found ${decoded.type}`);
      }
      unsettledSince = null;
      records.push(decoded);
      lastSeq = decoded.seq;
      line++;
      at = end + 1;
      position += bytes.length + 1;
    }
    return records;
  };

  /** A line that a crash cut short has nothing behind it; the run that continues replaces it. */
  const unsettled = (reason: string, behind: Buffer): void => {
    const followed = behind.toString("latin1").split("\n").slice(0, -1);
    if (!followed.some((text) => isWholeLine(Buffer.from(text, "latin1")))) return;
    unsettledSince ??= performance.now();
    if (performance.now() - unsettledSince < SETTLE_MILLISECONDS) return;
    throw new DistmisError(
      "RUN_REFUSED",
      `${file}:${line + 1}: ${reason}, and valid records follow; the journal was damaged: restore it`,
    );
  };

  return {
    isUnsettled: () => unsettledSince !== null,
    /** Whether what was told is still the beginning of the file. */
    async isSame(handle: FileHandle | null, size: number): Promise<boolean> {
      if (first === null) return true;
      if (handle === null || size < position) return false;
      const start = Buffer.alloc(first.length);
      await handle.read(start, 0, start.length, 0);
      return start.equals(first);
    },
    /** The next whole records; none when all were read. */
    async next(handle: FileHandle): Promise<JournalRecord[]> {
      for (let length = PIECE_BYTES; ; length *= 2) {
        const data = Buffer.alloc(length);
        const { bytesRead } = await handle.read(data, 0, length, position);
        const piece = data.subarray(0, bytesRead);
        // A line that is longer than the piece is read as a whole.
        if (piece.includes(NEWLINE) || bytesRead < length) return take(piece);
        if (length >= MAX_LINE_BYTES) throw tooLong(file, line + 1);
      }
    },
  };
}
