import { readdir, rm } from "node:fs/promises";
import path from "node:path";

/**
 * Removes what writers that were killed have left in a folder: for its one writer of now, who knows that nobody else is at it. What
 * can't be removed stays, as it does no harm.
 */
export async function removeTemporary(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names)
    if (/\.tmp(\.old)?$/.test(name))
      await rm(path.join(folder, name), { recursive: true, force: true }).catch(() => {});
}
