#!/usr/bin/env node
// `npm run check`: formatting, lint and types of everything that is written here.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { main, root, setup, venv } from "./setup.mjs";

main(() => setup({ dev: true }));

const bin = (name) => path.join(root, "node_modules", ".bin", name);
const ruff = path.join(venv, "bin", "ruff");
const pythonCode = ["--config", "python_shim/pyproject.toml", "python_shim", "test", "bench"];
const checks = [
  ["Biome", bin("biome"), ["check", "--error-on-warnings", "."], root],
  ["types", bin("tsc"), ["--noEmit"], root],
  ["types of the page", bin("tsc"), ["--noEmit", "-p", "src/page"], root],
  ["types of its tests", bin("tsc"), ["--noEmit", "-p", "test/dashboard"], root],
  ["types of the examples", bin("tsc"), ["--noEmit", "-p", "configs/examples"], root],
  ["Ruff, lint", ruff, ["check", ...pythonCode], root],
  ["Ruff, format", ruff, ["format", "--check", ...pythonCode], root],
  ["protocol", bin("buf"), ["lint"], path.join(root, "proto")],
];
const failed = checks.filter(([title, command, args, cwd]) => {
  process.stderr.write(`check: ${title}\n`);
  return spawnSync(command, args, { cwd, stdio: "inherit" }).status !== 0;
});
if (failed.length > 0) {
  process.stderr.write(`check: failed: ${failed.map(([title]) => title).join(", ")}\n`);
  process.exit(1);
}
