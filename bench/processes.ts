/** Memory of the processes of a search, as the kernel counts it. */
import { readdirSync, readFileSync } from "node:fs";

export interface Memory {
  /** Resident megabytes (of 10^6 bytes); of the trainers together. */
  orchestrator: number;
  shim: number;
  trainers: number;
}

/** Of this process, and of the shim and the trainers below it. */
export function memoryNow(): Memory {
  const below = descendants(process.pid);
  const of = (pattern: RegExp) =>
    below.filter((pid) => pattern.test(read(pid, "cmdline"))).reduce((sum, pid) => sum + resident(pid), 0);
  return {
    orchestrator: resident(process.pid),
    // The orchestrator's child, its guard and the server.
    shim: of(/^[^\0]*python[^\0]*\0.*distmis_shim/),
    trainers: of(/trainer\/main\.[jt]s/),
  };
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

function resident(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(read(pid, "status"))?.[1];
  return (Number(kilobytes ?? 0) * 1024) / 1e6;
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // The command's name, in parentheses, may hold anything.
    const parent = Number(read(Number(name), "stat").split(") ").at(-1)?.split(" ")[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  const walk = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      walk(child);
    }
  };
  walk(root);
  return found;
}
