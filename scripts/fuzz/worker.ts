/** A process of the fuzzer: checks cases one by one and tells its parent about each. */
import { readdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { caseMaker } from "./cases.ts";
import { checkFile } from "./check.ts";

export type Message =
  | { type: "checked"; index: number; reason: string | null; milliseconds: number }
  | { type: "failed"; index: number; what: string; error: string }
  | { type: "ended"; maxRssMb: number; openFiles: number };

const [dir = "", seed = "", first = "", count = ""] = process.argv.slice(2);
const tell = (message: Message): unknown => process.send?.(message);
const openFiles = (): number => readdirSync("/proc/self/fd").length;
/** Deflate can't expand a stream by more than 1032:1. */
const mostIn = (bytes: Buffer): number => bytes.length * (bytes[0] === 0x1f && bytes[1] === 0x8b ? 1032 : 1);

const make = caseMaker(Number(seed));
const before = openFiles();
for (let index = Number(first); index < Number(first) + Number(count); index++) {
  const { files, open, what } = make(index);
  // They stay there if this process hangs or dies.
  for (const { name, bytes } of files) writeFileSync(join(dir, name), bytes);
  const start = performance.now();
  try {
    const room = files.reduce((total, { bytes }) => total + mostIn(bytes), 0);
    const reason = await checkFile(join(dir, open), dir, room);
    tell({ type: "checked", index, reason, milliseconds: performance.now() - start });
  } catch (error) {
    tell({
      type: "failed",
      index,
      what,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    break;
  }
  for (const { name } of files) unlinkSync(join(dir, name));
}
tell({ type: "ended", maxRssMb: process.resourceUsage().maxRSS / 1024, openFiles: openFiles() - before });
process.disconnect();
