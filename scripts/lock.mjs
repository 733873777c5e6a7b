#!/usr/bin/env node
// `npm run lock`: writes the Python locks from python_shim/pyproject.toml. For developers, after a change of dependencies;
// needs the network. The locks hold for Python 3.10 to 3.13 and carry PyPI's hashes.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { root, venv } from "./setup.mjs";

const shim = path.join(root, "python_shim");
const uv = process.env.UV ?? path.join(venv, "bin", "uv");

function lock(out, args) {
  const command = ["pip", "compile", "--universal", "--python-version", "3.10", "--generate-hashes"];
  command.push("--no-config", "--no-header", "--no-annotate", "--quiet");
  const result = spawnSync(uv, [...command, ...args, "-o", out], { cwd: shim, stdio: "inherit" });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

lock("requirements-cpu.lock", ["pyproject.toml", "--extra", "cpu"]);
lock("requirements-cuda.lock", ["pyproject.toml", "--extra", "cuda"]);
// What the tests need beyond the above, in versions that agree with it.
lock("requirements-dev.lock", ["--group", "dev", "-c", "requirements-cpu.lock"]);
// A benchmark's peer has an environment of its own.
const peers = path.join(root, "bench", "peers");
lock(path.join(peers, "ray_tune.lock"), [path.join(peers, "ray_tune.in"), "-c", "requirements-cpu.lock"]);
