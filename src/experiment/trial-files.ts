/** The files of a trial: its configuration, and the logs of the trainers that worked on it. */
import { type FileHandle, open } from "node:fs/promises";
import type { TrialConfig } from "../config/index.ts";
import { unwritable } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import { makeFolder } from "../paths/index.ts";
import { runFiles } from "../run-folder/index.ts";

export interface TrialLogs {
  write(rank: number, text: string): Promise<void>;
  close(): Promise<void>;
}

/** Makes the trial's folder and writes config.json. */
export async function prepareTrial(runDir: string, trial: string, config: TrialConfig): Promise<void> {
  await makeFolder(runFiles.trial(runDir, trial));
  await replaceFile(runFiles.trialConfig(runDir, trial), `${JSON.stringify(config, null, 2)}\n`);
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
