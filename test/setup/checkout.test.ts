/** A checkout whose parts are missing or old: a copy of this one, with links to its packages. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { repositoryRoot } from "../support/python.ts";

let copy = "";
const inCopy = (...names: string[]): string => path.join(copy, ...names);

before(() => {
  copy = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-checkout-"));
  const generated = path.join("python_shim", "distmis_shim", "generated");
  const json = ["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"];
  for (const name of ["bin", "dist", "proto", "scripts", "src", generated, ...json])
    fs.cpSync(path.join(repositoryRoot, name), inCopy(name), { recursive: true });
  for (const name of ["node_modules", ".venv"]) fs.symlinkSync(path.join(repositoryRoot, name), inCopy(name));
});
after(() => fs.rmSync(copy, { recursive: true, force: true }));

/** What the set-up says that it did, without the seconds. */
function build(): string {
  const { status, stderr } = spawnSync(process.execPath, [inCopy("scripts/setup.mjs"), "--only", "build"], {
    encoding: "utf8",
    timeout: 200_000,
  });
  assert.equal(status, 0, stderr);
  return stderr.replaceAll(/ \.\.\. \d+ s\n/g, "; ");
}

test("what was generated or built, and then changed, removed or added to, is made again", { timeout: 300_000 }, () => {
  build();
  assert.equal(build(), "");
  const generated = inCopy("src/generated/distmis/v1");
  const made = fs.readFileSync(path.join(generated, "trainer.ts"), "utf8");
  fs.rmSync(path.join(generated, "trainer.ts"));
  fs.writeFileSync(path.join(generated, "stale.ts"), "");
  assert.equal(build(), "distmis setup: generated code; ");
  assert.equal(fs.readFileSync(path.join(generated, "trainer.ts"), "utf8"), made);
  assert.ok(!fs.existsSync(path.join(generated, "stale.ts")));
  fs.appendFileSync(inCopy("python_shim/distmis_shim/generated/distmis/v1/cluster_pb2.py"), "# another\n");
  assert.equal(build(), "distmis setup: generated code; ");
  fs.appendFileSync(inCopy("dist/cli/main.js"), "// another\n");
  assert.equal(build(), "distmis setup: build; ");
  assert.equal(build(), "");
});

test("without its packages, or with old ones, the command says in one line what to do", () => {
  const distmis = () => {
    const { status, stdout, stderr } = spawnSync(inCopy("bin/distmis"), ["--version"], { encoding: "utf8" });
    return { status, stdout, stderr };
  };
  const advice = `distmis: packages are missing or not those of this version: run \`npm run setup\` in ${copy}`;
  const line = (what: string) => ({ status: 1, stdout: "", stderr: `${advice} (${what})\n` });
  const packages = path.join(repositoryRoot, "node_modules");
  fs.rmSync(inCopy("node_modules"));
  assert.deepEqual(distmis(), line(`Cannot find package 'yargs' imported from ${inCopy("dist/cli/main.js")}`));
  fs.mkdirSync(inCopy("node_modules"));
  for (const name of fs.readdirSync(packages)) fs.symlinkSync(path.join(packages, name), inCopy("node_modules", name));
  assert.equal(distmis().status, 0);
  fs.rmSync(inCopy("node_modules/yargs"));
  fs.mkdirSync(inCopy("node_modules/yargs"));
  const old = { name: "yargs", type: "module", exports: { ".": "./old.js", "./helpers": "./old.js" } };
  fs.writeFileSync(inCopy("node_modules/yargs/package.json"), JSON.stringify(old));
  fs.writeFileSync(inCopy("node_modules/yargs/old.js"), "export const hideBin = [];\n");
  assert.deepEqual(distmis(), line("The requested module 'yargs' does not provide an export named 'default'"));
});
