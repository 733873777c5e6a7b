/** What stands in a trial's log, piece by piece. */
import { open } from "node:fs/promises";
import type { LogView } from "../page-data/index.ts";
import { trialLogs } from "../run-folder/index.ts";

const MOST_BYTES = 256 * 1024;

/**
 * From byte `from` on, or without it the end of the log, at most 256 kB.
 * @param rank whose log, of several replicas
 */
export async function readLog(runDir: string, trial: string, rank: number, from: number | null): Promise<LogView> {
  const logs = await trialLogs(runDir, trial);
  const ranks = logs.map((log) => log.rank);
  const log = logs.find((each) => each.rank === rank);
  if (log === undefined) return { ranks, text: "", from: 0, to: 0, size: 0 };
  const start = Math.min(log.bytes, from ?? Math.max(0, log.bytes - MOST_BYTES));
  const handle = await open(log.file);
  try {
    const bytes = Buffer.alloc(Math.min(MOST_BYTES, log.bytes - start));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    const [first, last] = wholeCharacters(bytes.subarray(0, bytesRead));
    const text = bytes.toString("utf8", first, last);
    return { ranks, text, from: start + first, to: start + last, size: log.bytes };
  } finally {
    await handle.close();
  }
}

/** The part of UTF-8 bytes that neither begins nor ends within a character; all of it if that would be nothing. */
function wholeCharacters(bytes: Buffer): [number, number] {
  const isInner = (at: number): boolean => ((bytes[at] ?? 0) & 0xc0) === 0x80;
  let first = 0;
  while (first < 4 && isInner(first)) first++;
  let last = bytes.length;
  while (last > first && bytes.length - last < 4 && isInner(last - 1)) last--;
  const lead = bytes[last - 1] ?? 0;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  last = last - 1 + length <= bytes.length ? Math.max(last - 1 + length, first) : last - 1;
  return last <= first ? [0, bytes.length] : [first, last];
}
