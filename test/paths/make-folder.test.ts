import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { entryCommand, makeFolder, moduleUrl } from "../../src/paths/index.ts";
import { failure, tempDir } from "../data/helpers.ts";

describe("makeFolder", () => {
  it("makes what is missing, takes what is there, and bears others at the same work", async (t) => {
    const dir = await tempDir(t);
    const deep = join(dir, "a/b/../b/c");
    await Promise.all([makeFolder(deep), makeFolder(join(dir, "a/b/d")), makeFolder(deep)]);
    await makeFolder(deep);
    symlinkSync(deep, join(dir, "link"));
    await makeFolder(join(dir, "link/e"));
    assert.ok(statSync(join(dir, "a/b/c/e")).isDirectory() && statSync(join(dir, "a/b/d")).isDirectory());
  });

  it("refuses files, dangling links and file systems that make no folders, naming the folder", async (t) => {
    const dir = await tempDir(t);
    writeFileSync(join(dir, "file"), "");
    symlinkSync(join(dir, "gone"), join(dir, "dangling"));
    for (const bad of [join(dir, "file"), join(dir, "file/x"), join(dir, "dangling/x"), "/proc/x/y", "/dev/null/x"]) {
      await assert.rejects(makeFolder(bad), failure("FILE_UNUSABLE", `${bad}: can't be made a folder`));
    }
  });
});

describe("a command whose output lies where no folder can be made", () => {
  it("says so and ends with 2", () => {
    const [node = "", ...rest] = entryCommand(moduleUrl("cli/main"));
    const args = [...rest, "phantom", "--target-dir", "/proc/x", "--count", "3", "--shape", "16,16,16"];
    const { status, stderr } = spawnSync(node, args, { encoding: "utf8", timeout: 30_000 });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^distmis: \/proc\/x\/imagesTr: can't be made a folder: .*\n$/);
  });
});
