/** Processes as Linux tells of them in /proc. */
import fs from "node:fs";
import { readFile, readlink } from "node:fs/promises";

/**
 * Start of a process in clock ticks since boot, which tells it from a later one with the same id; null if there is no such process
 * or it is a zombie.
 */
export async function startTicks(pid: number): Promise<string | null> {
  try {
    const { state, started } = parseStat(await readFile(`/proc/${pid}/stat`, "latin1"));
    return state === "Z" ? null : started;
  } catch {
    return null;
  }
}

function parseStat(text: string): { state: string; started: string } {
  // The second field, the program's name in brackets, may hold anything; field 3 is the state, 22 the start.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", started: fields[19] ?? "" };
}

/** Another one after each boot of the machine; empty where there is none. */
export function bootId(): Promise<string> {
  return readFile("/proc/sys/kernel/random/boot_id", "utf8").then(
    (text) => text.trim(),
    () => "",
  );
}

/** Process ids mean something only in their namespace: containers may share a file system. */
export function pidNamespace(): Promise<string> {
  return readlink("/proc/self/ns/pid");
}

export interface FoundProcess {
  pid: number;
  /** Its program and arguments, with spaces between them. */
  command: string;
}

/**
 * The living processes (no zombies) that were started with `variable` ("NAME=value") in their environment, which children inherit;
 * this process does not count, nor do those of other users.
 */
export function processesWith(variable: string): FoundProcess[] {
  return fs.readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      if (!fs.readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(variable)) return [];
      if (parseStat(fs.readFileSync(`/proc/${name}/stat`, "latin1")).state === "Z") return [];
      const command = fs.readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " ").trimEnd();
      return [{ pid: Number(name), command }];
    } catch {
      return []; // It has ended meanwhile, or is another user's.
    }
  });
}
