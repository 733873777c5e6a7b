/** The files of a trial: its configuration, and the logs of the trainers that worked on it. */
import { type FileHandle, open } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";
import type { TrialConfig } from "../config/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { makeFolder } from "../paths/index.ts";
import { runFiles } from "../run-folder/index.ts";

export interface TrialLogs {
  write(rank: number, text: string): Promise<void>;
  close(): Promise<void>;
}

/** Makes the trial's folder and writes config.json. */
export async function prepareTrial(runDir: string, trial: string, config: TrialConfig): Promise<void> {
  const dir = runFiles.trial(runDir, trial);
  await makeFolder(dir);
  try {
    await writeFileAtomic(runFiles.trialConfig(runDir, trial), `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be written: ${messageOf(error)}`, { cause: error });
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
        throw new DistmisError("FILE_UNUSABLE", `${file}: can't be written: ${messageOf(error)}`, { cause: error });
      }
    },
    async close() {
      for (const handle of handles.values()) await handle.close();
    },
  };
}
