/**
 * The private temporary folder of one cluster: socket, Ray's session, logs. Removed on close; what a killed process left
 * is removed by the next one of the same user.
 */
import fs from "node:fs/promises";
import path from "node:path";
import { addOwner, ownershipOf, removeOwned } from "../processes/index.ts";

// Not os.tmpdir(), which may be long: Ray makes sockets far below it, and the path of a UNIX socket ends at 107 bytes.
const PARENT = "/tmp";
const PREFIX = "distmis-";
// A folder without an owner may just be in the making.
const OWNERLESS_MS = 3600_000;

export interface PrivateDir {
  /** Absolute; mode 0700. */
  readonly path: string;
  /** The folder is in use as long as this process lives, too. */
  addOwner(pid: number): Promise<void>;
  /** Idempotent; never throws. */
  remove(): Promise<void>;
}

/** Makes a new private folder, after those that no living process owns are removed. */
export async function createPrivateDir(): Promise<PrivateDir> {
  await removeStale();
  const dir = await fs.mkdtemp(path.join(PARENT, PREFIX));
  await addOwner(dir, process.pid);
  const remove = async () => {
    await removeOwned(dir);
    // Also of a killed process whose shim was still ending when this one began.
    await removeStale().catch(() => {});
  };
  return { path: dir, addOwner: (pid) => addOwner(dir, pid), remove };
}

/** Removes folders of this user whose owners are all gone. */
async function removeStale(): Promise<void> {
  for (const name of await fs.readdir(PARENT)) {
    if (!name.startsWith(PREFIX)) continue;
    const dir = path.join(PARENT, name);
    try {
      const stat = await fs.lstat(dir);
      if (!stat.isDirectory() || stat.uid !== process.getuid?.()) continue;
      if (await isStale(dir, stat.mtimeMs)) await removeOwned(dir);
    } catch {
      // Somebody else has removed it, or uses it.
    }
  }
}

async function isStale(dir: string, changedMs: number): Promise<boolean> {
  const ownership = await ownershipOf(dir);
  // Only if nothing but the marker could ever have been there: other programs may use the prefix.
  if (ownership === "unknown") return (await fs.readdir(dir)).length === 0 && Date.now() - changedMs > OWNERLESS_MS;
  return ownership !== "used";
}
