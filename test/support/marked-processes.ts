/** Finds processes by an environment variable that all children inherit, so that others on this machine do not count. */
import { randomUUID } from "node:crypto";
import fs from "node:fs";

const NAME = "DISTMIS_TEST_MARK";

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
  return {
    processes() {
      return fs.readdirSync("/proc").flatMap((pid) => {
        if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
        try {
          if (!fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark)) return [];
          return [`${pid} ${fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 120)}`];
        } catch {
          return []; // It has ended meanwhile, or is another user's.
        }
      });
    },
  };
}
