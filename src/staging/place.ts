/** Where copies lie: in one private folder of the user, each data set in a folder of its own beside its lock. */
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { DistmisError, hasErrno } from "../errors/index.ts";
import { type FileLock, takeLock } from "../lock/index.ts";
import { ownershipOf, pidNamespace, removeOwned } from "../processes/index.ts";

const LOCK = ".lock";

/** @param base a local folder; default: $TMPDIR, else /tmp */
export function stagingParent(base: string | undefined): string {
  return path.join(base ?? os.tmpdir(), `distmis-stage-${process.getuid?.() ?? 0}`);
}

/** Makes the parent, or checks that it is this user's alone: it lies where others may write. Throws a plain Error. */
export async function makeStagingParent(parent: string): Promise<void> {
  await fs.mkdir(parent, { mode: 0o700 }).catch((error: unknown) => {
    if (!hasErrno(error, "EEXIST")) throw error;
  });
  const stat = await fs.lstat(parent);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0)
    throw new Error(`${parent} is not a folder of this user alone (mode 0700)`);
}

/**
 * The folder of one data set as it is now.
 * @param fingerprint changes with the data
 */
export async function stagedFolder(parent: string, fingerprint: string): Promise<string> {
  const key = `${fingerprint} ${await pidNamespace()}`;
  return path.join(parent, createHash("sha256").update(key).digest("hex").slice(0, 16));
}

/** The lock of a data set's folder, or null while another process has it. */
export async function lockStaged(folder: string): Promise<FileLock | null> {
  const words = { what: "this copy of a data set", instead: "use another folder" };
  try {
    return await takeLock(`${folder}${LOCK}`, words);
  } catch (error) {
    if (error instanceof DistmisError && error.code === "RUN_REFUSED") return null;
    throw error;
  }
}

/** Removes the copies that nobody uses, but for `except`, and the parent if it is empty then. Never throws. */
export async function removeUnused(parent: string, except?: string): Promise<void> {
  const names = await fs.readdir(parent).catch((): string[] => []);
  // Of a killed process there may be a lock alone.
  for (const name of new Set(names.map((each) => each.split(LOCK)[0] ?? each))) {
    const folder = path.join(parent, name);
    if (folder === except || (await ownershipOf(folder)) === "used") continue;
    const lock = await lockStaged(folder).catch(() => null);
    // Who has the lock is about to use it.
    if (lock === null) continue;
    if ((await ownershipOf(folder)) !== "used") {
      await removeOwned(folder);
      // Locks in the making, of processes that were killed; a living one tries again.
      const drafts = names.filter((each) => each.startsWith(`${name}${LOCK}.`));
      for (const draft of drafts) await fs.rm(path.join(parent, draft), { force: true }).catch(() => {});
    }
    await lock.release();
  }
  await fs.rmdir(parent).catch(() => {});
}
