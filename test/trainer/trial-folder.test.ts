import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, it } from "node:test";
import { defineExperiment, trialConfig } from "../../src/config/index.ts";
import { lazyFolder } from "../../src/trainer/trial-folder.ts";

const runDir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-trial-folder-"));
after(() => fs.rmSync(runDir, { recursive: true }));
const config = trialConfig(defineExperiment({ name: "a", trainer: { module: "task.mjs" } }), {});

it("is made when it is asked for, with the configuration by the replica that writes", () => {
  const dir = path.join(runDir, "0001");
  const [first, second] = [lazyFolder(dir, config, "trial 0001"), lazyFolder(dir, null, "trial 0001")];
  assert.ok(!fs.existsSync(dir));
  assert.equal(second(), dir);
  assert.deepEqual(fs.readdirSync(dir), []);
  assert.equal(first(), dir);
  assert.deepEqual(JSON.parse(fs.readFileSync(path.join(dir, "config.json"), "utf8")), config);
  fs.rmSync(path.join(dir, "config.json"));
  first();
  assert.deepEqual(fs.readdirSync(dir), []);
});

it("is refused where the folder above it can't be seen, and where it can't be made", () => {
  assert.throws(() => lazyFolder(path.join(runDir, "none", "0001"), config, "trial 0001"), {
    code: "FILE_UNUSABLE",
    message: /none does not exist on .*: runs must lie on a file system that all nodes see/,
  });
  const file = path.join(runDir, "0002");
  fs.writeFileSync(file, "");
  assert.throws(() => lazyFolder(file, config, "trial 0002")(), { code: "FILE_UNUSABLE" });
});
