import { mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/**
 * Makes a folder and those above it, as far as they are not there. Node's own recursive mkdir tries for ever where a file system
 * answers ENOENT to mkdir below a folder that exists, as /proc does.
 * Errors: FILE_UNUSABLE.
 */
export async function makeFolder(dir: string): Promise<void> {
  try {
    // In most cases it is a new folder in one that is there.
    if (
      await mkdir(dir).then(
        () => true,
        () => false,
      )
    )
      return;
    const missing: string[] = [];
    for (let at = path.resolve(dir); !(await isFolder(at)); at = path.dirname(at)) missing.unshift(at);
    for (const each of missing) await makeOne(each);
  } catch (error) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${dir}: can't be made a folder: ${messageOf(error)}; name another place, in which you may write`,
      { cause: error },
    );
  }
}

/** False where nothing is; throws where something else is. */
async function isFolder(dir: string): Promise<boolean> {
  try {
    if ((await stat(dir)).isDirectory()) return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
  throw new Error(`${dir} is a file`);
}

async function makeOne(dir: string): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    // Another process may have been faster.
    if (!hasErrno(error, "EEXIST") || !(await isFolder(dir))) throw error;
  }
}
