#!/usr/bin/env node
// `npm test`: sets everything up and runs the whole test suite, TypeScript first, then the shim's Python.
//   npm test                       everything
//   npm test -- test/data          only the TypeScript tests below a folder or in a file
//   npm test -- python_shim/tests  only the Python tests there
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { main, python, root, setup } from "./setup.mjs";

main(() => setup({ dev: true }));

const chosen = process.argv.slice(2);
const isPython = (name) => name.startsWith("python_shim");

function testFiles(place) {
  if (fs.statSync(place).isFile()) return [place];
  return fs
    .readdirSync(place, { recursive: true })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => path.join(place, name))
    .sort();
}

let failed = 0;
function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) failed = status ?? 1;
}

const typescript = chosen.length === 0 ? ["test"] : chosen.filter((name) => !isPython(name));
if (typescript.length > 0) {
  const files = typescript.flatMap((name) => testFiles(path.resolve(root, name)));
  // One file at a time: most of them start a TensorFlow or a Ray of their own.
  const options = ["--test-concurrency=1", "--test-reporter=spec", "--test-timeout=600000"];
  run(process.execPath, ["--import", "tsx", "--test", ...options, ...files]);
}
const pythonTests = chosen.length === 0 ? ["python_shim/tests"] : chosen.filter(isPython);
if (pythonTests.length > 0) run(python, ["-m", "pytest", "-c", "python_shim/pyproject.toml", ...pythonTests]);
process.exitCode = failed;
