/** Finds processes by an environment variable that all children inherit, so that others on this machine do not count. */
import { randomUUID } from "node:crypto";
import { processesWith } from "../../src/processes/index.ts";

const NAME = "DISTMIS_TEST_MARK";

/** Ids and command lines of the living processes with this mark, "NAME=value" or the value alone, without this one. */
export function markedProcesses(mark: string): string[] {
  return processesWith(mark.startsWith(NAME) ? mark : `${NAME}=${mark}`).map(({ pid, command }) => `${pid} ${command}`);
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
