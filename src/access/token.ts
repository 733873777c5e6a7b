/** The token of a server: who has it may use the server. It lies in a file of its user, never on a command line. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { makeFolder } from "../paths/index.ts";
import { readSecret, unusable } from "./secret-file.ts";

const TOKEN_BYTES = 32;
/** What can't be guessed even by many who try for long. */
const MIN_LENGTH = 32;

/** DISTMIS_TOKEN_FILE, or `distmis/token` in the user's folder of settings. */
export function defaultTokenFile(env: NodeJS.ProcessEnv = process.env): string {
  const settings = env.XDG_CONFIG_HOME || path.join(homedir(), ".config");
  return env.DISTMIS_TOKEN_FILE || path.join(settings, "distmis", "token");
}

/**
 * Reads a token. Errors: FILE_UNUSABLE if it is not there, is open to others, or holds no token.
 */
export async function readToken(file: string): Promise<string> {
  const token = await tokenIn(file);
  if (token !== null) return token;
  throw unusable(
    file,
    "a token",
    "there is no such file; copy the server's token there (mode 0600), or name another one with --token-file",
  );
}

/** Reads a token, after making the file (mode 0600) with a new one if it is not there. Errors: FILE_UNUSABLE. */
export async function ensureToken(file: string): Promise<{ token: string; made: boolean }> {
  const found = await tokenIn(file);
  if (found !== null) return { token: found, made: false };
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  await makeFolder(path.dirname(file));
  try {
    await writeFile(file, `${token}\n`, { flag: "wx", mode: 0o600 });
    // A umask takes rights away; some file systems give them.
    await chmod(file, 0o600);
    return { token, made: true };
  } catch (error) {
    // Another server was faster.
    if (hasErrno(error, "EEXIST")) return { token: await readToken(file), made: false };
    throw new DistmisError("FILE_UNUSABLE", `${file}: can't be written: ${messageOf(error)}`, { cause: error });
  }
}

async function tokenIn(file: string): Promise<string | null> {
  const text = await readSecret(file, "a token");
  if (text === null) return null;
  const token = text.trim();
  if (token.length < MIN_LENGTH || !/^[\x21-\x7e]+$/.test(token)) {
    const what = `expected one line of at least ${MIN_LENGTH} letters and digits`;
    throw unusable(file, "a token", `${what}; remove the file, and \`distmis serve\` makes a new one`);
  }
  return token;
}

/** Tells whether what a client sent is the token, in a time that does not depend on how much of it is right. */
export function tokenCheck(token: string): (given: string) => boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected);
}
