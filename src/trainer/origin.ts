/** What a model's file tells of where it comes from. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { type DatasetInfo, INFO_FILE } from "../data/index.ts";
import type { ModelFacts } from "../model/index.ts";
import { packageRoot, packageVersion } from "../paths/index.ts";
import type { TrialContext } from "./task.ts";

/** What a file's origin is without the time at which the file is written. */
export type TrialOrigin = Omit<NonNullable<ModelFacts["origin"]>, "time">;

export async function originOf({ config, trialId, attempt }: TrialContext, info: DatasetInfo): Promise<TrialOrigin> {
  const dir = config.data?.dir ?? "";
  const bytes = await fs.promises.readFile(path.join(dir, INFO_FILE));
  return {
    experiment: config.name,
    trial: trialId,
    attempt,
    host: os.hostname(),
    data: { dir, name: info.distmis?.name ?? null, info_sha256: createHash("sha256").update(bytes).digest("hex") },
  };
}

let commit: Promise<string | null> | undefined;

/** Of what made the model. @param tensorflow its version */
export async function versionsOf(tensorflow: string): Promise<Record<string, string>> {
  commit ??= codeCommit();
  const known = {
    distmis: packageVersion(),
    commit: await commit,
    tensorflow,
    node: process.versions.node,
    // Told by the worker; a trainer without one has no Ray.
    ray: process.env.DISTMIS_RAY_VERSION,
  };
  return Object.fromEntries(Object.entries(known).flatMap(([name, value]) => (value ? [[name, value]] : [])));
}

const GIT_DEADLINE_MILLISECONDS = 5_000;

/** The commit of a clone of distmis, with "-dirty" where files were changed; null for an installed package or without git. */
async function codeCommit(): Promise<string | null> {
  const root = packageRoot();
  // Within another project's repository git would tell of that one.
  if (!fs.existsSync(path.join(root, ".git"))) return null;
  const describe = ["-C", root, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"];
  try {
    const { stdout } = await promisify(execFile)("git", describe, {
      timeout: GIT_DEADLINE_MILLISECONDS,
      // Else it may write the index, as all trainers of a run would at once.
      env: { ...process.env, GIT_OPTIONAL_LOCKS: "0" },
    });
    return stdout.trim();
  } catch {
    return null;
  }
}
