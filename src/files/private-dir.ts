/**
 * The private temporary folder of one cluster: socket, Ray's session, logs. Removed on close; what a killed process left
 * is removed by the next one of the same user.
 */
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { bootId, pidNamespace, startTicks } from "../processes/index.ts";

// Not os.tmpdir(), which may be long: Ray makes sockets far below it, and the path of a UNIX socket ends at 107 bytes.
const PARENT = "/tmp";
const PREFIX = "distmis-";
const OWNER_FILE = "owner.json";
// A folder without an owner may just be in the making.
const OWNERLESS_MS = 3600_000;

const ownerSchema = z.object({
  bootId: z.string(),
  // Process ids mean something only in their namespace (containers may share /tmp).
  pidNamespace: z.string(),
  processes: z.array(z.object({ pid: z.int(), startTime: z.string() })),
});
type Owner = z.output<typeof ownerSchema>;

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
  const owner: Owner = { ...(await thisMachine()), processes: [] };

  const addOwner = async (pid: number) => {
    const startTime = await startTicks(pid);
    if (startTime !== null) owner.processes.push({ pid, startTime });
    const file = path.join(dir, OWNER_FILE);
    await fs.writeFile(`${file}.new`, JSON.stringify(owner));
    await fs.rename(`${file}.new`, file);
  };
  await addOwner(process.pid);
  const remove = async () => {
    await removeDir(dir);
    // Also of a killed process whose shim was still ending when this one began.
    await removeStale().catch(() => {});
  };
  return { path: dir, addOwner, remove };
}

/** Removes folders of this user whose owners are all gone. */
async function removeStale(): Promise<void> {
  const here = await thisMachine();
  for (const name of await fs.readdir(PARENT)) {
    if (!name.startsWith(PREFIX)) continue;
    const dir = path.join(PARENT, name);
    try {
      const stat = await fs.lstat(dir);
      if (!stat.isDirectory() || stat.uid !== process.getuid?.()) continue;
      if (await isStale(dir, stat.mtimeMs, here)) await removeDir(dir);
    } catch {
      // Somebody else has removed it, or uses it.
    }
  }
}

async function isStale(dir: string, changedMs: number, here: Omit<Owner, "processes">): Promise<boolean> {
  let owner: Owner;
  try {
    owner = ownerSchema.parse(JSON.parse(await fs.readFile(path.join(dir, OWNER_FILE), "utf8")));
  } catch {
    // Only if nothing but the marker could ever have been there: other programs may use the prefix.
    return (await fs.readdir(dir)).length === 0 && Date.now() - changedMs > OWNERLESS_MS;
  }
  if (owner.bootId !== here.bootId) return true;
  if (owner.pidNamespace !== here.pidNamespace) return false;
  for (const { pid, startTime } of owner.processes) if ((await startTicks(pid)) === startTime) return false;
  return true;
}

/** What cannot be removed stays with its marker, for a later start. */
async function removeDir(dir: string): Promise<void> {
  // Ray's last processes may still write while they die.
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 200 };
  try {
    const names = await fs.readdir(dir);
    await Promise.all(names.filter((name) => name !== OWNER_FILE).map((name) => fs.rm(path.join(dir, name), options)));
    await fs.rm(dir, options);
  } catch {
    // Gone already, or see above.
  }
}

async function thisMachine(): Promise<Omit<Owner, "processes">> {
  return { bootId: await bootId(), pidNamespace: await pidNamespace() };
}
