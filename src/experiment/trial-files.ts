/** The files of a trial: its configuration, and the logs of the trainers that worked on it. */
import { type FileHandle, open, writeFile } from "node:fs/promises";
import type { TrialConfig } from "../config/index.ts";
import { unwritable } from "../errors/index.ts";
import { makeFolder } from "../paths/index.ts";
import { runFiles } from "../run-folder/index.ts";

export interface TrialLogs {
  write(rank: number, text: string): Promise<void>;
  close(): Promise<void>;
}

/** Makes the trial's folder and writes config.json, which follows from the journal and is written anew for each attempt. */
export async function prepareTrial(runDir: string, trial: string, config: TrialConfig): Promise<void> {
  await makeFolder(runFiles.trial(runDir, trial));
  const file = runFiles.trialConfig(runDir, trial);
  try {
    await writeFile(file, `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw unwritable(file, error);
  }
}

/** Opens the logs of a trial's replicas for appending: each has a file of its own, made when it prints something. */
export function openTrialLogs(fileOf: (rank: number) => string): TrialLogs {
  const handles = new Map<number, FileHandle>();
  return {
    async write(rank, text) {
      const file = fileOf(rank);
      try {
        let handle = handles.get(rank);
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
