import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { removeTemporary, replaceFile } from "../../src/files/index.ts";
import { smallDisk } from "../support/small-disk.ts";
import { until } from "../support/until.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-files-"));
});
after(() => rm(folder, { recursive: true, force: true }));

describe("replaceFile", () => {
  it("writes text and pieces, and replaces what was there", async () => {
    const file = path.join(folder, "file");
    await replaceFile(file, "für alle");
    assert.equal(await readFile(file, "utf8"), "für alle");
    await replaceFile(file, [Buffer.from("a"), new Uint8Array(0), Buffer.from("bc")]);
    assert.equal(await readFile(file, "utf8"), "abc");
    assert.deepEqual(await readdir(folder), ["file"]);
  });

  it("leaves what the next writer removes, when it is killed", async () => {
    const dir = await mkdtemp(path.join(folder, "killed-"));
    const endless = `
      import { replaceFile } from ${JSON.stringify(new URL("../../src/files/index.ts", import.meta.url).href)};
      for (;;) await replaceFile(process.argv[1] + "/file", [Buffer.alloc(2 ** 26)]);`;
    const args = ["--import", import.meta.resolve("tsx"), "--input-type=module", "-e", endless, dir];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    await until("a write", async () => (await readdir(dir)).some((name) => name.endsWith(".tmp")));
    child.kill("SIGKILL");
    await once(child, "exit");
    await replaceFile(path.join(dir, "other"), "");
    await removeTemporary(dir);
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name !== "file"),
      ["other"],
    );
  });

  it("says where it can't write", async () => {
    await assert.rejects(replaceFile(path.join(folder, "none/file"), ""), {
      code: "FILE_UNUSABLE",
      message: /none\/file: its folder does not exist; make it first/,
    });
  });

  it("leaves the file as it was, and nothing else, when the disk fills up", async (t) => {
    const disk = smallDisk(t, path.join(folder, "disk"), 1);
    if (disk === null) return;
    const file = path.join(disk, "file");
    await replaceFile(file, "before");
    // The first write call moves a part of it.
    await assert.rejects(replaceFile(file, [Buffer.alloc(3 * 2 ** 20, 1)]), {
      code: "DISK_FULL",
      message: /file: the disk is full, or a limit is reached; make room \(ENOSPC/,
    });
    assert.equal(await readFile(file, "utf8"), "before");
    assert.deepEqual(await readdir(disk), ["file"]);
  });
});
