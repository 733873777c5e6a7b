/** The folder of a trial, made when its task has something to put in: three steps on a file system are a tenth of a small trial. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { TrialConfig } from "../config/index.ts";
import { DistmisError, hasErrno, unwritable } from "../errors/index.ts";
import { CONFIG_NAME } from "../run-folder/index.ts";

/** Folders of trials that were there: those of a trainer's trials lie in one. */
const seen = new Set<string>();

/**
 * A function that makes the folder at its first call and returns it.
 *
 * @param config is written into it anew for each attempt; null for the replicas that do not write
 * @throws DistmisError FILE_UNUSABLE at once, if not even the folder above it is there; FILE_UNUSABLE and DISK_FULL from the function
 */
export function lazyFolder(dir: string, config: TrialConfig | null, trial: string): () => string {
  const above = path.dirname(dir);
  if (!seen.has(above) && !fs.existsSync(above)) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${trial}: the folder ${above} does not exist on ${os.hostname()}: runs must lie on a file system that all nodes see`,
    );
  }
  seen.add(above);
  let made = false;
  return () => {
    if (!made) make(dir, config);
    made = true;
    return dir;
  };
}

function make(dir: string, config: TrialConfig | null): void {
  try {
    fs.mkdirSync(dir);
  } catch (error) {
    if (!hasErrno(error, "EEXIST")) throw unwritable(dir, error);
  }
  if (config === null) return;
  const file = path.join(dir, CONFIG_NAME);
  try {
    fs.writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw unwritable(file, error);
  }
}
