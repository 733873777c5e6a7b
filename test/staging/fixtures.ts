/** Shards to be copied, and processes that use them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { createTfrecord } from "../../src/tfrecord/index.ts";

/** A folder with `shared`, which holds the files, and `local`, which is empty; removed after the test. */
export async function folders(t: TestContext, files: Record<string, number[]>) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-staging-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const [shared, local] = [path.join(dir, "shared"), path.join(dir, "local")];
  for (const folder of [shared, local]) fs.mkdirSync(folder);
  for (const [name, records] of Object.entries(files)) await shard(path.join(shared, name), records);
  return { dir, shared, local, files: Object.keys(files) };
}

/** Writes records of so many bytes. */
export async function shard(file: string, records: readonly number[]): Promise<void> {
  const writer = await createTfrecord(file);
  for (const [index, bytes] of records.entries()) await writer.write([Buffer.alloc(bytes, index + 1)]);
  await writer.close();
}

export interface StageRequest {
  dir: string;
  fingerprint: string;
  files: readonly string[];
  base: string;
  limit?: number;
}

/** A process that stages and lives on until it is killed, as a trainer does. */
export function startUser(request: StageRequest) {
  const program = fileURLToPath(new URL("fixtures/user.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", program, JSON.stringify(request)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const said = new Promise<{ folder?: string; error?: string }>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("{")) resolve(JSON.parse(line));
      else lines.push(line);
    });
    child.once("exit", () => resolve({ error: "it ended" }));
  });
  return {
    /** Where it reads from, or its error. */
    said,
    /** What it was told. */
    lines,
    async kill() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    },
  };
}
