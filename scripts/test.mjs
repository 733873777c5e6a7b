#!/usr/bin/env node
// `npm test`: sets everything up and runs the whole test suite, TypeScript first, then the shim's Python.
//   npm test                       everything
//   npm test -- test/data          only the TypeScript tests below a folder or in a file
//   npm test -- python_shim/tests  only the Python tests there
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
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

/** What mostly waits, for minutes, for the time limits of SLURM's jobs and for its scheduler. */
const WAITING = ["requeue", "successor", "users"].map((name) => `test/slurm/${name}.test.ts`);
/** What mostly computes, and has no deadline that another's load could break: it runs beside that. */
const COMPUTING =
  "analysis augment config data inference metrics model model-folder nifti phantom picture pipeline prepare tensorboard tensorflow";

let failed = 0;
function end(status) {
  if (status !== 0) failed = status ?? 1;
}

function testArguments(files) {
  // One file at a time: most of them start a TensorFlow or a Ray of their own.
  const options = ["--test-concurrency=1", "--test-reporter=spec", "--test-timeout=600000"];
  return ["--import", "tsx", "--test", ...options, ...files];
}

function run(command, args) {
  end(spawnSync(command, args, { cwd: root, stdio: "inherit" }).status);
}

/** Runs both at once; what the second one prints comes behind what the first one does. */
async function runBeside(files, others) {
  const start = (args, stdio) => spawn(process.execPath, testArguments(args), { cwd: root, stdio });
  const second = start(others, ["ignore", "pipe", "pipe"]);
  const printed = [];
  for (const stream of [second.stdout, second.stderr]) stream.on("data", (data) => printed.push(data));
  const ends = [start(files, "inherit"), second].map((child) => once(child, "close"));
  for (const [status] of await Promise.all(ends)) end(status);
  process.stdout.write(Buffer.concat(printed));
}

if (chosen.length === 0) {
  const all = testFiles(path.join(root, "test"));
  const waiting = WAITING.map((name) => path.join(root, name));
  const computing = COMPUTING.split(" ").flatMap((name) => testFiles(path.join(root, "test", name)));
  await runBeside(computing, waiting);
  const rest = all.filter((file) => !waiting.includes(file) && !computing.includes(file));
  run(process.execPath, testArguments(rest));
}
const typescript = chosen.filter((name) => !isPython(name));
if (typescript.length > 0) {
  run(process.execPath, testArguments(typescript.flatMap((name) => testFiles(path.resolve(root, name)))));
}
const pythonTests = chosen.length === 0 ? ["python_shim/tests"] : chosen.filter(isPython);
if (pythonTests.length > 0) run(python, ["-m", "pytest", "-c", "python_shim/pyproject.toml", ...pythonTests]);
process.exitCode = failed;
