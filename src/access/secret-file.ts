/** Files that only their owner may read: tokens and private keys. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

/** Far above any key. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads a file that must belong to this user and be closed to all others; null if there is none.
 * @param what it is, for errors: "the token"
 * @throws DistmisError FILE_UNUSABLE
 */
export async function readSecret(file: string, what: string): Promise<string | null> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      const { mode, uid, size } = stat;
      if (!stat.isFile()) throw unusable(file, what, "expected a file");
      if (uid !== process.getuid?.()) throw unusable(file, what, `it belongs to the user with id ${uid}, not to you`);
      if ((mode & 0o077) !== 0) {
        const found = (mode & 0o777).toString(8);
        throw unusable(file, what, `others may use it (mode ${found}); make a new one, or \`chmod 600 ${file}\``);
      }
      if (size > MAX_BYTES) throw unusable(file, what, `expected at most ${MAX_BYTES} bytes, found ${size}`);
      return await handle.readFile("utf8");
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof DistmisError) throw error;
    if (hasErrno(error, "ENOENT")) return null;
    throw unusable(file, what, messageOf(error), error);
  }
}

/** A file that can't serve as `what`. */
export function unusable(file: string, what: string, why: string, cause?: unknown): DistmisError {
  return new DistmisError("FILE_UNUSABLE", `${file}: can't be used as ${what}: ${why}`, { cause });
}
