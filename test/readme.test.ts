/** The README's example, run as it stands there. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { makePhantom, writeTfrecords } from "../src/index.ts";
import { repositoryRoot } from "./support/python.ts";

test("the example of the README runs and finds the better trial", { timeout: 180_000 }, async () => {
  const readme = fs.readFileSync(path.join(repositoryRoot, "README.md"), "utf8");
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  assert.match(code, /from "distmis"/);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-readme-"));
  try {
    await makePhantom({ targetDir: path.join(dir, "msd"), count: 6, shape: [16, 16, 16] });
    await writeTfrecords({ sourceDir: path.join(dir, "msd"), targetDir: path.join(dir, "tfrecords/hippocampus") });
    const index = pathToFileURL(path.join(repositoryRoot, "src/index.ts")).href;
    const file = path.join(dir, "example.mts");
    fs.writeFileSync(file, code.replace('"distmis"', JSON.stringify(index)));
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", import.meta.resolve("tsx"), file], {
      cwd: dir,
    });
    const lines = stdout.trim().split("\n");
    assert.equal(lines.filter((line) => /^000[12] [1-5] (0|1)(\.\d+)?(e-\d+)?$/.test(line)).length, 10, stdout);
    assert.match(lines.at(-1) ?? "", /train\.learning_rate/);
    assert.ok(fs.existsSync(path.join(dir, "runs/small/results.csv")));
    const provenance = path.join(dir, "runs/small/model/provenance.json");
    assert.match(
      JSON.parse(fs.readFileSync(provenance, "utf8")).versions.ray,
      /^2\./,
      "the model is left, with Ray's version",
    );
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
});
