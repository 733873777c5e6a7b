/** A folder says which processes use it, in a file that outlives them: who is left can tell whether it is still needed. */
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { bootId, pidNamespace, startTicks } from "./processes.ts";

export const OWNER_FILE = "owner.json";

const ownerSchema = z.object({
  bootId: z.string(),
  // Process ids mean something only in their namespace (containers may share /tmp).
  pidNamespace: z.string(),
  processes: z.array(z.object({ pid: z.int(), startTime: z.string() })),
});
type Owner = z.output<typeof ownerSchema>;

/**
 * - `used`: by a living process, or by processes that can't be seen from here
 * - `left`: all that used it are gone
 * - `rebooted`: so is all else of that boot of the machine
 * - `unknown`: it does not say who uses it
 */
export type Ownership = "used" | "left" | "rebooted" | "unknown";

/** Adds a living process to those that use the folder. Not for two writers at a time. */
export async function addOwner(dir: string, pid: number): Promise<void> {
  const here = await thisMachine();
  const before = await readOwner(dir);
  const same = before?.bootId === here.bootId && before.pidNamespace === here.pidNamespace;
  const living: Owner["processes"] = [];
  for (const one of same ? before.processes : []) if (await lives(one)) living.push(one);
  const startTime = await startTicks(pid);
  if (startTime !== null && !living.some((one) => one.pid === pid)) living.push({ pid, startTime });
  const file = path.join(dir, OWNER_FILE);
  await fs.writeFile(`${file}.new`, JSON.stringify({ ...here, processes: living }));
  await fs.rename(`${file}.new`, file);
}

export async function ownershipOf(dir: string): Promise<Ownership> {
  const owner = await readOwner(dir);
  if (owner === null) return "unknown";
  const here = await thisMachine();
  if (owner.bootId !== here.bootId) return "rebooted";
  if (owner.pidNamespace !== here.pidNamespace) return "used";
  for (const one of owner.processes) if (await lives(one)) return "used";
  return "left";
}

async function lives({ pid, startTime }: Owner["processes"][number]): Promise<boolean> {
  return (await startTicks(pid)) === startTime;
}

async function readOwner(dir: string): Promise<Owner | null> {
  try {
    return ownerSchema.parse(JSON.parse(await fs.readFile(path.join(dir, OWNER_FILE), "utf8")));
  } catch {
    return null;
  }
}

/** Removes the folder, and this file last: what can't be removed is found again. Never throws. */
export async function removeOwned(dir: string): Promise<void> {
  // Whoever dies may still write.
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
