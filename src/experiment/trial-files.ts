/** The files of a trial: its configuration, and the log of the trainers that worked on it. */
import { mkdir, open } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";
import type { TrialConfig } from "../config/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { runFiles } from "./layout.ts";

export interface TrialLog {
  write(text: string): Promise<void>;
  close(): Promise<void>;
}

/** Makes the trial's folder and writes config.json. */
export async function prepareTrial(runDir: string, trial: string, config: TrialConfig): Promise<void> {
  const dir = runFiles.trial(runDir, trial);
  try {
    await mkdir(dir, { recursive: true });
    await writeFileAtomic(runFiles.trialConfig(runDir, trial), `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be written: ${messageOf(error)}`, { cause: error });
  }
}

/** Opens a log for appending. */
export async function openTrialLog(file: string): Promise<TrialLog> {
  try {
    const handle = await open(file, "a", 0o644);
    return { write: (text) => handle.appendFile(text), close: () => handle.close() };
  } catch (error) {
    throw new DistmisError("FILE_UNUSABLE", `${file}: can't be written: ${messageOf(error)}`, { cause: error });
  }
}
