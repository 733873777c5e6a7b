/** Ray Tune in an environment of its own: what it needs beside Ray is nothing that distmis installs. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { pythonPath } from "../src/paths/index.ts";

const run = promisify(execFile);
const peers = path.join(import.meta.dirname, "peers");

/** Its Python; made at the first call, and anew when its lock or its base has changed. */
async function rayTunePython(): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache");
  const dir = path.join(cache, "distmis", "bench", "ray-tune");
  const [python, stampFile] = [path.join(dir, "bin", "python"), path.join(dir, "distmis-stamp")];
  const lock = path.join(peers, "ray_tune.lock");
  const { stdout: version } = await run(pythonPath(), ["--version"]);
  const stamp = createHash("sha256")
    .update(version)
    .update(await readFile(lock))
    .digest("hex");
  if ((await readFile(stampFile, "utf8").catch(() => "")) === stamp) return python;
  process.stderr.write(`installing Ray Tune in ${dir}\n`);
  await rm(dir, { recursive: true, force: true });
  await run(pythonPath(), ["-m", "venv", dir]);
  const options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"];
  await run(python, ["-m", "pip", "install", ...options, "-r", lock]);
  await writeFile(stampFile, stamp);
  return python;
}

export interface TuneTimes {
  /** Seconds from the start of the search to its end, and to the end of each trial. */
  seconds: number;
  ends: number[];
}

export async function rayTune(kind: "reuse" | "function", trials: number, gpus: number): Promise<TuneTimes> {
  const script = path.join(peers, "ray_tune_trials.py");
  const args = ["-W", "ignore", script, kind, String(trials), String(gpus)];
  const { stdout } = await run(await rayTunePython(), args, { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

/** The version of Ray that the peer runs. */
export async function rayTuneVersion(): Promise<string> {
  const { stdout } = await run(await rayTunePython(), ["-c", "import ray; print(ray.__version__)"]);
  return stdout.trim();
}
