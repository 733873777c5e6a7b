/** Work that ends early: what is left, and how the same call goes on. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { writeNifti } from "../../src/nifti/index.ts";
import { entryCommand } from "../../src/paths/index.ts";
import { type WriteTfrecordsOptions, writeTfrecords } from "../../src/prepare/index.ts";
import { AFFINE, failure, noise, tempDir, tinyDataset } from "../data/helpers.ts";

/** The visible files of a data set with the SHA-256 of their content. */
async function contents(dir: string): Promise<Record<string, string>> {
  const names = (await readdir(dir)).filter((name) => !name.startsWith("."));
  const entries = names.sort().map(async (name) => [
    name,
    createHash("sha256")
      .update(await readFile(join(dir, name)))
      .digest("hex"),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

const hidden = async (dir: string): Promise<string[]> => (await readdir(dir)).filter((name) => name.startsWith("."));

const twenty = (dir: string, side = 8): Promise<string> =>
  tinyDataset(join(dir, "source"), { shapes: Array.from({ length: 20 }, () => [side, side, side] as const) });

/** Starts the work and stops it after `volumes`. */
async function interrupt(options: WriteTfrecordsOptions, volumes: number): Promise<void> {
  const stop = new AbortController();
  const attempt = writeTfrecords({ ...options, signal: stop.signal }, ({ phase, done }) => {
    if (phase === "write" && done === volumes) stop.abort();
  });
  await assert.rejects(attempt, failure("INTERRUPTED", "the target folder is as it was", "of 20 volumes are done"));
}

/** Goes on; returns how many volumes were not worked on again. */
async function resume(options: WriteTfrecordsOptions): Promise<number> {
  const { notes, status } = await writeTfrecords(options);
  assert.equal(status, "written");
  assert.deepEqual(await hidden(options.targetDir), []);
  return Number(/continued: (\d+) of 20/.exec(notes.join())?.[1] ?? 0);
}

describe("interrupted writing", () => {
  it("leaves the target as it was and goes on from the last volume, in this thread and in others", async (t) => {
    const dir = await tempDir(t);
    const sourceDir = await twenty(dir);
    const whole = { sourceDir, targetDir: join(dir, "whole"), split: [0.2, 0.4, 0.4], augment: 1 } as const;
    await writeTfrecords(whole);
    const expected = await contents(whole.targetDir);
    for (const workers of [1, 2]) {
      const options = { ...whole, targetDir: join(dir, `out${workers}`), workers, overwrite: true };
      await writeTfrecords({ sourceDir, targetDir: options.targetDir });
      const before = await contents(options.targetDir);
      await interrupt(options, 5);
      assert.deepEqual(await contents(options.targetDir), before);
      // Once more: what was continued can be interrupted too.
      await interrupt(options, 10);
      assert.deepEqual(await contents(options.targetDir), before);
      assert.ok((await resume(options)) >= 10);
      assert.deepEqual(await contents(options.targetDir), expected);
      assert.equal((await writeTfrecords(options)).status, "up-to-date");
    }
  });

  it("works again on a shard whose end is damaged, on volumes that have changed, and on all with other options", async (t) => {
    const dir = await tempDir(t);
    const sourceDir = await twenty(dir);
    const options = { sourceDir, targetDir: join(dir, "out"), split: [1, 0, 0], workers: 1 } as const;
    const partial = join(options.targetDir, ".distmis-partial");
    const check = async (expected: number): Promise<void> => {
      assert.equal(await resume(options), expected);
      const fresh = { ...options, targetDir: join(dir, "fresh"), overwrite: true };
      await writeTfrecords(fresh);
      assert.deepEqual(await contents(options.targetDir), await contents(fresh.targetDir));
      await rm(options.targetDir, { recursive: true });
    };
    // Shards 0 to 3 hold two volumes, the others one.
    await interrupt(options, 6);
    await appendFile(join(partial, "train_0.tfrecord"), "half a record");
    await appendFile(join(partial, "train_0.tfrecord.log"), '{"bytes": 12');
    const { size } = await stat(join(partial, "train_1.tfrecord"));
    await truncate(join(partial, "train_1.tfrecord"), size - 1);
    await check(5);

    await interrupt(options, 6);
    // The second volume of shard 0.
    const image = { data: noise(512, 99), shape: [8, 8, 8], affine: AFFINE } as const;
    await writeNifti(join(sourceDir, "imagesTr/case_16.nii.gz"), image);
    await check(5);

    await interrupt(options, 6);
    const other = await writeTfrecords({ ...options, seed: 1 });
    assert.match(other.notes.join(), /left is thrown away/);
  });

  it("keeps what is done when a volume turns out to be bad, and goes on once that is put right", async (t) => {
    const dir = await tempDir(t);
    const sourceDir = await twenty(dir);
    const path = join(sourceDir, "imagesTr/case_5.nii.gz");
    const good = await readFile(path);
    const data = noise(512);
    data[7] = Number.POSITIVE_INFINITY;
    await writeNifti(path, { data, shape: [8, 8, 8], affine: AFFINE });
    for (const workers of [1, 2]) {
      const options = { sourceDir, targetDir: join(dir, `out${workers}`), workers };
      await assert.rejects(writeTfrecords(options), failure("DATA_INVALID", "case_5.nii.gz", "not finite", "are done"));
      assert.deepEqual(await contents(options.targetDir), {});
    }
    await writeFile(path, good);
    assert.equal(await resume({ sourceDir, targetDir: join(dir, "out1"), workers: 1 }), 5);
  });

  it("goes on after kill -9, at once", { timeout: 120_000 }, async (t) => {
    const dir = await tempDir(t);
    const sourceDir = await twenty(dir, 64);
    const targetDir = join(dir, "out");
    const [program = "", ...args] = entryCommand(new URL("../../src/cli/main.ts", import.meta.url));
    const command = [...args, "tfrecord", "--source-dir", sourceDir, "--target-dir", targetDir, "--workers", "2"];
    const child = spawn(program, command, { stdio: ["ignore", "ignore", "pipe"] });
    t.after(() => child.kill("SIGKILL"));
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said += text;
      if (said.includes("Writing: ")) child.kill("SIGKILL");
    });
    await once(child, "close");
    assert.match(said, /Writing: 5 of 20/);
    assert.deepEqual(await contents(targetDir), {}, "it was killed before it was done");
    assert.ok((await resume({ sourceDir, targetDir })) > 0);
    const fresh = { sourceDir, targetDir: join(dir, "fresh") };
    await writeTfrecords(fresh);
    assert.deepEqual(await contents(targetDir), await contents(fresh.targetDir));
  });
});

describe("a full disk", () => {
  it("is told before anything is written, and where it fills up meanwhile the work goes on once there is room", async (t) => {
    const dir = await tempDir(t);
    const sourceDir = await twenty(dir, 32);
    const targetDir = join(dir, "small");
    await mkdir(targetDir);
    const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", targetDir]);
    if (mount.status !== 0) return t.skip("mounting a small file system takes root");
    try {
      await fillDisk(sourceDir, targetDir, join(dir, "fresh"));
    } finally {
      spawnSync("umount", [targetDir]);
    }
  });
});

async function fillDisk(sourceDir: string, targetDir: string, freshDir: string): Promise<void> {
  // 20 records of 2 x 128 KiB; with copies 14 more.
  const options = { sourceDir, targetDir, workers: 1 };
  const takes = (size: string, ...more: string[]) =>
    failure("FILE_UNUSABLE", targetDir, `takes ${size} MB`, "the disk has 4.2 MB free", ...more);
  await assert.rejects(writeTfrecords(options), takes("5.2"));
  await assert.rejects(writeTfrecords({ ...options, augment: 1 }), takes("8.9", "fewer copies"));
  assert.deepEqual(await readdir(targetDir), []);

  const small = { ...options, reshape: [24, 24, 24] } as const;
  const filler = join(targetDir, "filler");
  const attempt = writeTfrecords(small, ({ phase, done }) => {
    if (phase === "write" && done === 5) writeFileSync(filler, new Uint8Array(2.5 * 2 ** 20));
  });
  await assert.rejects(attempt, failure("DISK_FULL", "the disk is full", "ENOSPC", "are done and kept"));
  rmSync(filler);
  assert.ok((await resume(small)) >= 5);
  const fresh = { ...small, targetDir: freshDir };
  await writeTfrecords(fresh);
  assert.deepEqual(await contents(targetDir), await contents(fresh.targetDir));
}
