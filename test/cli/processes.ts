/** Processes by a mark in their environment, which everything that a command starts inherits. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Ids and names of the living processes (no zombies) whose environment holds `mark`. */
export function markedProcesses(mark: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        if (stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) return [];
        if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(mark)) return [];
        return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").slice(0, 120)}`];
      } catch {
        return []; // It ended while we looked.
      }
    });
}

/** Waits until `done` holds; throws what `describe` says if that takes longer. */
export async function waitFor(done: () => boolean, seconds: number, describe: () => string): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!done()) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${describe()}`);
    await delay(50);
  }
}
