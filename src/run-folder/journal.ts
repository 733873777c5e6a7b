/**
 * The journal of a run: JSON lines, append-only, one writer. Each line ends with the CRC32C of all that stands before
 * that field, so that a line which a crash cut short, or which was changed, is told from a whole one.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { crc32c } from "@node-rs/crc32";
import { type Deferred, deferred } from "../async/index.ts";
import { DistmisError, hasErrno, messageOf, unwritable } from "../errors/index.ts";
import { decodeLine, isWholeLine, MAX_LINE_BYTES, NEWLINE, tooLong } from "./decode-record.ts";
import type { JournalRecord, RecordBody } from "./record.ts";

/** More than this does not wait in memory for a slow disk. */
const MOST_WAITING_CHARACTERS = 1024 * 1024;

export interface JournalContents {
  /** Bytes of whole, valid records from the start. */
  validBytes: number;
  /** Sequence number of the last one; 0 if there is none. */
  lastSeq: number;
  /** What was found behind them, for a person; null if nothing. It is lost when the journal is written to again. */
  torn: string | null;
}

export interface Journal {
  /** Adds a record; it is written soon. Returns it with its number and time. */
  append(body: RecordBody): JournalRecord;
  /** Resolves when all records appended so far are on the disk; calls at the same time share one fsync. */
  commit(): Promise<void>;
  /** Resolves when the disk has kept up, so that more may be appended: what comes in any number waits for it. */
  room(): Promise<void>;
  close(): Promise<void>;
}

/** One line of the file, with its newline. */
export function encodeRecord(record: JournalRecord): string {
  const text = JSON.stringify(record).slice(0, -1);
  return `${text},"crc32c":"${crc32c(text).toString(16).padStart(8, "0")}"}\n`;
}

/**
 * Reads a journal, handing each record to `onRecord`. A damaged end is reported in the result; damage with a valid record
 * behind it can't come from a crash and throws RUN_REFUSED. A missing file is an empty journal.
 */
export async function readJournal(file: string, onRecord: (record: JournalRecord) => void): Promise<JournalContents> {
  let validBytes = 0;
  let lastSeq = 0;
  let line = 0;
  let bad: { line: number; reason: string } | null = null;
  let rest: Buffer = Buffer.alloc(0);

  const take = (bytes: Buffer): void => {
    line++;
    const decoded = decodeLine(`${file}:${line}`, bytes, lastSeq + 1);
    if (bad !== null) {
      if (isWholeLine(bytes)) {
        const where = `${file}:${bad.line}: ${bad.reason}, and valid records follow`;
        throw new DistmisError(
          "RUN_REFUSED",
          `${where}; the journal was damaged: restore it, or use another run folder`,
        );
      }
    } else if (typeof decoded === "string") bad = { line, reason: decoded };
    else {
      onRecord(decoded);
      lastSeq = decoded.seq;
      validBytes += bytes.length + 1;
    }
  };

  try {
    for await (const chunk of createReadStream(file)) {
      let data: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE)) {
        take(data.subarray(0, end));
        data = data.subarray(end + 1);
      }
      rest = data;
      if (rest.length > MAX_LINE_BYTES) throw tooLong(file, line + 1);
    }
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return { validBytes: 0, lastSeq: 0, torn: null };
    if (error instanceof DistmisError) throw error;
    throw new DistmisError("FILE_UNUSABLE", `${file}: can't be read: ${messageOf(error)}`, { cause: error });
  }
  if (rest.length > 0 && bad === null) bad = { line: line + 1, reason: "the last record was cut short" };
  return { validBytes, lastSeq, torn: describeBad(bad) };
}

function describeBad(bad: { line: number; reason: string } | null): string | null {
  return bad === null ? null : `line ${bad.line}: ${bad.reason}`;
}

/** Sees to it that the names of new files are on the disk, where the file system can do that for a folder. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir);
  await handle.sync().catch(() => {});
  await handle.close();
}

/**
 * Opens a journal for writing behind what {@link readJournal} found valid; a torn end is cut off.
 * @param confirm rejects, before a write, if somebody else writes the journal by now
 */
export async function openJournal(
  file: string,
  contents: JournalContents,
  confirm: () => Promise<void> = async () => {},
): Promise<Journal> {
  const handle = await open(file, "a", 0o644);
  if (contents.lastSeq === 0) await syncFolder(path.dirname(file));
  if (contents.torn !== null) {
    await handle.truncate(contents.validBytes);
    await handle.datasync();
  }
  let { lastSeq: seq } = contents;
  let lines: string[] = [];
  let waitingCharacters = 0;
  /** Resolves when all that waits is being written. */
  let taken: Deferred<void> | null = null;
  let waiting: Deferred<void>[] = [];
  let pump: Promise<void> | null = null;
  let failure: DistmisError | null = null;

  const write = async (): Promise<void> => {
    while (lines.length > 0 || waiting.length > 0) {
      const text = lines.join("");
      const toTell = waiting;
      lines = [];
      waitingCharacters = 0;
      taken?.resolve();
      taken = null;
      waiting = [];
      try {
        if (failure !== null) throw failure;
        await confirm();
        if (text !== "") await handle.appendFile(text);
        if (toTell.length > 0) await handle.datasync();
        for (const { resolve } of toTell) resolve();
      } catch (error) {
        // A record may be half written: nothing may follow it.
        failure ??= unwritable(file, error);
        for (const { reject } of toTell) reject(failure);
      }
    }
    // Here and not when the promise is settled: who waits for a commit may append before that is known.
    pump = null;
  };
  const kick = (): void => {
    // In the next turn: what is appended and committed in this one, as a trial's end and the next one's start, is one fsync.
    pump ??= nextTurn().then(write);
  };

  return {
    append(body) {
      // What follows would not be written either: whoever appends learns it now, not at the next commit.
      if (failure !== null) throw failure;
      const record: JournalRecord = { seq: ++seq, time: new Date().toISOString(), ...body };
      const line = encodeRecord(record);
      lines.push(line);
      waitingCharacters += line.length;
      kick();
      return record;
    },
    commit() {
      const done = deferred();
      waiting.push(done);
      kick();
      return done.promise;
    },
    async room() {
      if (waitingCharacters <= MOST_WAITING_CHARACTERS) return;
      taken ??= deferred();
      await taken.promise;
    },
    async close() {
      while (pump !== null) await pump;
      await handle.close();
    },
  };
}
