/** The folder of a local cluster: private, and changed by one process at a time. */
import fs from "node:fs/promises";
import path from "node:path";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { takeLock } from "../lock/index.ts";
import { clusterFiles } from "./state.ts";

/** What {@link clusterFiles} names, and the drafts of atomic writes; the lock and its drafts. */
const OWN_NAMES = /^(cluster\.json.*|token|\d+|\d+\.log)$/;
const LOCK_NAME = "cluster.lock";

// sun_path holds 107 bytes and a zero; Ray's sockets lie far below the folder.
const LONGEST_DIR = 107 - "/100/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store".length;

/**
 * Makes the folder if need be and holds its lock while `work` goes on; an empty one is removed behind it.
 * @throws DistmisError FILE_UNUSABLE if it is not this user's alone, RUN_REFUSED while another process works in it
 */
export async function withFolder<T>(dir: string, work: () => Promise<T>): Promise<T> {
  await prepare(dir);
  const words = { what: "the local cluster", instead: "set DISTMIS_CLUSTER_DIR to another folder" };
  const lock = await takeLock(clusterFiles.lock(dir), words);
  try {
    return await work();
  } finally {
    await lock.release();
    // Not if there is a cluster in it, or the next one has the lock.
    await fs.rmdir(dir).catch(() => {});
  }
}

async function prepare(dir: string): Promise<void> {
  if (Buffer.byteLength(dir) > LONGEST_DIR) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `DISTMIS_CLUSTER_DIR: ${dir} is too long for Ray's sockets: at most ${LONGEST_DIR} bytes, found ${Buffer.byteLength(dir)}`,
    );
  }
  try {
    await fs.mkdir(dir, { mode: 0o700 });
  } catch (error) {
    if (!hasErrno(error, "EEXIST")) {
      throw new DistmisError("FILE_UNUSABLE", `${dir}: can't be made: ${messageOf(error)}`, { cause: error });
    }
  }
  await refuseOthers(dir);
}

/** @throws DistmisError FILE_UNUSABLE if `dir` is not this user's alone, or holds anything else */
async function refuseOthers(dir: string): Promise<void> {
  const found = await fs.lstat(dir);
  // Others may write to /tmp: what they put there is not followed.
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${dir}: expected a folder that is yours alone (mode 0700); remove it, or set DISTMIS_CLUSTER_DIR to another one`,
    );
  }
  const [foreign] = (await fs.readdir(dir)).filter((name) => !OWN_NAMES.test(name) && !name.startsWith(LOCK_NAME));
  if (foreign !== undefined) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${dir}: expected the folder of a local cluster or an empty one, found ${foreign}; set DISTMIS_CLUSTER_DIR to another one`,
    );
  }
}

/** Removes all but the lock, which goes when it is released. */
export async function emptyFolder(dir: string): Promise<void> {
  const names = (await fs.readdir(dir)).filter((name) => OWN_NAMES.test(name));
  // Ray's last processes may still write while they die.
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 200 };
  await Promise.all(names.map((name) => fs.rm(path.join(dir, name), options)));
}
