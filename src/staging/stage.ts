/** A data set's shards on the local disk of this node: copied once by whoever comes first, used by all. */
import fs from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { addOwner, ownershipOf, removeOwned } from "../processes/index.ts";
import { areThere, copyShard, type Shard, shardsIn } from "./copy-shards.ts";
import { lockStaged, makeStagingParent, removeUnused, stagedFolder, stagingParent } from "./place.ts";

const POLL_MILLISECONDS = 100;
const GIGABYTE = 1e9;
/** What others on the node may need meanwhile. */
const LEFT_FREE_BYTES = 1e9;

export interface StageOptions {
  /** Shared folder of the data set. */
  dir: string;
  /** Changes with the data in it. */
  fingerprint: string;
  /** Names of its files to be copied, see {@link shardNames}. */
  files: readonly string[];
  /** Local folder in which they are to lie. Default: $TMPDIR, else /tmp. */
  base?: string | undefined;
  /** A larger data set is not copied, in bytes. */
  limit: number;
  /** Asked all the time; once true, the copy is given up. */
  stop: () => boolean;
  /** Told of what takes time, and of why nothing is copied. */
  say: (text: string) => void;
}

/**
 * The folder to read the files from: the local copy, which stays until this process has ended, or `dir` itself where there is no
 * room or the data set is larger than the limit. Several processes of a node make one copy: the others wait for it, and one of
 * them goes on if its maker dies.
 * @throws DistmisError FILE_UNUSABLE if a file can't be read, DATA_INVALID if one is damaged
 */
export async function stageShards(options: StageOptions): Promise<string> {
  const { dir, files, limit, say, stop } = options;
  const shards = await shardsIn(dir, files);
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const refused = (why: string): string => {
    say(`data is read from ${dir}, not from a local copy: ${why}`);
    return dir;
  };
  if (bytes > limit) return refused(beyondLimit(bytes, limit));
  const parent = stagingParent(options.base);
  try {
    const folder = await stagedFolder(parent, options.fingerprint);
    const lock = await waitForLock(parent, folder, stop, say);
    if (lock === null) return dir;
    try {
      await removeUnused(parent, folder);
      if ((await ownershipOf(folder)) === "rebooted") await removeOwned(folder);
      await fs.mkdir(folder, { recursive: true, mode: 0o700 });
      await addOwner(folder, process.pid);
      if (!(await copyMissing(options, shards, folder))) return dir;
    } catch (error) {
      // Half a copy would only take the space that others lack.
      await removeOwned(folder);
      throw error;
    } finally {
      await lock.release();
    }
    return folder;
  } catch (error) {
    // DistmisErrors are of the data; whatever is wrong with the local disk, there is another way.
    if (error instanceof DistmisError) throw error;
    return refused(messageOf(error));
  }
}

/** Why no node will copy the data set, for who asked for it; null if they may. Errors: as {@link stageShards}. */
export async function stagingRefusal(dir: string, files: readonly string[], limit: number): Promise<string | null> {
  const bytes = (await shardsIn(dir, files)).reduce((sum, shard) => sum + shard.bytes, 0);
  return bytes > limit ? `${dir} is read where it lies, without local copies: ${beyondLimit(bytes, limit)}` : null;
}

function beyondLimit(bytes: number, limit: number): string {
  return `it has ${inWords(bytes)}, and data.stage.limit_gigabytes is ${limit / GIGABYTE}`;
}

/** Null if `stop` came first. */
async function waitForLock(parent: string, folder: string, stop: () => boolean, say: (text: string) => void) {
  for (let told = false; !stop(); told = true) {
    // The last user of another copy may remove the empty parent at any time.
    await makeStagingParent(parent);
    const lock = await lockStaged(folder).catch((error: unknown) => {
      if (hasErrno(error, "ENOENT")) return null;
      throw error;
    });
    if (lock !== null) return lock;
    if (!told) say(`waits for the process that copies the data to ${folder}`);
    await delay(POLL_MILLISECONDS);
  }
  return null;
}

/** @returns false if `stop` asked to end it */
async function copyMissing({ dir, stop, say }: StageOptions, shards: Shard[], folder: string): Promise<boolean> {
  const missing: Shard[] = [];
  for (const shard of shards) if (!(await areThere(folder, [shard]))) missing.push(shard);
  if (missing.length === 0) return true;
  const bytes = missing.reduce((sum, shard) => sum + shard.bytes, 0);
  const { bavail, bsize } = await fs.statfs(folder);
  const free = bavail * bsize;
  if (free < bytes + LEFT_FREE_BYTES) {
    throw new Error(`${inWords(bytes)} are to be copied, but ${folder} has ${inWords(free)} free`);
  }
  const begin = performance.now();
  for (const shard of missing) if (!(await copyShard(dir, folder, shard, stop))) return false;
  say(`copied ${inWords(bytes)} to ${folder} in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  return true;
}

function inWords(bytes: number): string {
  return bytes < GIGABYTE ? `${(bytes / 1e6).toPrecision(3)} MB` : `${(bytes / GIGABYTE).toPrecision(3)} GB`;
}
