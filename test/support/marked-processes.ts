/** Finds processes by an environment variable that all children inherit, so that others on this machine do not count. */
import { randomUUID } from "node:crypto";
import fs from "node:fs";

const NAME = "DISTMIS_TEST_MARK";

/** Ids and command lines of the living processes (no zombies) whose environment holds `mark`, without this one. */
export function markedProcesses(mark: string): string[] {
  return fs.readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
      if (stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) return [];
      if (!fs.readFileSync(`/proc/${pid}/environ`, "latin1").includes(mark)) return [];
      return [`${pid} ${fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").slice(0, 400)}`];
    } catch {
      return []; // It has ended meanwhile, or is another user's.
    }
  });
}

export interface Mark {
  /** Living processes, started by this one since the mark was set: "pid command line". */
  processes(): string[];
}

/** Marks all processes that this one starts from now on. */
export function markChildren(): Mark {
  const mark = `${NAME}=${randomUUID()}`;
  process.env[NAME] = mark.slice(NAME.length + 1);
  // Else Ray's processes write their titles over their environment, and so over the mark.
  process.env.SPT_NOENV = "1";
  return { processes: () => markedProcesses(mark) };
}
