/** The logs of the trainers that worked on a trial. */
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { unwritable } from "../errors/index.ts";
import { makeFolder } from "../paths/index.ts";

export interface TrialLogs {
  write(rank: number, text: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the logs of a trial's replicas for appending: each has a file of its own, made when it prints something, as is their
 * folder.
 */
export function openTrialLogs(fileOf: (rank: number) => string): TrialLogs {
  const handles = new Map<number, FileHandle>();
  return {
    async write(rank, text) {
      const file = fileOf(rank);
      let handle = handles.get(rank);
      if (handle === undefined) await makeFolder(path.dirname(file));
      try {
        if (handle === undefined) {
          handle = await open(file, "a", 0o644);
          handles.set(rank, handle);
        }
        await handle.appendFile(text);
      } catch (error) {
        throw unwritable(file, error);
      }
    },
    async close() {
      for (const handle of handles.values()) await handle.close();
    },
  };
}
