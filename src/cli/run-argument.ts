/** Commands that take a run of a server by its name, or a run of one's own by its folder. */
import { existsSync } from "node:fs";
import type { ServerArguments } from "./server-options.ts";

/** Whether `run` is a folder here. A server is asked only where there is none, or it is named. */
export async function isRunFolder(run: string, { server }: ServerArguments): Promise<boolean> {
  if (server !== undefined) return false;
  const { readJobs, runFiles } = await import("../index.ts");
  return existsSync(runFiles.journal(run)) || (await readJobs(run)).length > 0;
}
