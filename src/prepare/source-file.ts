import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { SourceFile } from "../data/index.ts";

/** Size, time and SHA-256 of a source file. */
export async function describeSource(sourceDir: string, path: string): Promise<SourceFile> {
  const file = join(sourceDir, path);
  const { size, mtimeMs } = await stat(file);
  return { path, bytes: size, modified_ms: Math.round(mtimeMs), sha256: await sha256(file) };
}

/** Whether it is still that file. Size and time settle it for most; only one whose time differs is read. */
export async function isSameSource(sourceDir: string, path: string, recorded: SourceFile): Promise<boolean> {
  if (recorded.path !== path) return false;
  const file = join(sourceDir, path);
  const status = await stat(file).catch(() => null);
  if (status === null || status.size !== recorded.bytes) return false;
  return Math.round(status.mtimeMs) === recorded.modified_ms || (await sha256(file)) === recorded.sha256;
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest("hex");
}
