/** The search that is disturbed: a real one on a small phantom, run by the command line as a user runs it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { stringify } from "yaml";
import { packageRoot } from "../../src/paths/index.ts";
import { makePhantom } from "../../src/phantom/index.ts";
import { writeTfrecords } from "../../src/prepare/index.ts";

/** On a CPU an epoch takes 70 ms: a trial lasts for seconds, and is often in the middle when something dies. */
const EPOCHS = 40;
const SHAPE = [24, 24, 24] as const;
const VOLUMES = 10;

/** Writes data and experiment below `dir`; returns the experiment's file. A grid of `rates` learning rates times 4. */
export async function prepareSearch(dir: string, rates: number): Promise<string> {
  const msd = path.join(dir, "msd");
  const records = path.join(dir, "tfrecords");
  await makePhantom({ targetDir: msd, count: VOLUMES, shape: SHAPE, seed: 1, modalities: 1 });
  await writeTfrecords({ sourceDir: msd, targetDir: records, split: [0.8, 0.2, 0], divisor: 4 });
  const file = path.join(dir, "experiment.yaml");
  const experiment = {
    name: "chaos",
    data: { dir: records },
    model: { filters: 4, depth: 2, groups: 2 },
    train: { epochs: EPOCHS, batch_size_per_replica: 1, seed: 1 },
    search: {
      space: {
        "train.learning_rate": { grid: Array.from({ length: rates }, (_, index) => (index + 1) / 1000) },
        "model.norm": { grid: ["batch", "group"] },
        "train.optimizer": { grid: ["adam", "sgd"] },
      },
    },
    // Every kill is a fault of the machine, and a trial, or a node, may meet more of them than any user would bear.
    failure: { max_failures: 100_000, max_retry_delay: 1, node_failures: 0 },
  };
  fs.writeFileSync(file, stringify(experiment));
  return file;
}

export interface SearchProcess {
  readonly pid: number;
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** What it has printed on standard error. */
  said(): string;
}

/** Starts, or continues, the search in `runDir`. */
export function startSearch(
  experiment: string,
  runDir: string,
  rayAddress: string,
  environment: Readonly<Record<string, string>>,
): SearchProcess {
  const args = ["run", experiment, "--ray-address", rayAddress, "--run-dir", runDir];
  const child: ChildProcess = spawn(process.execPath, [path.join(packageRoot(), "bin/distmis"), ...args], {
    cwd: path.dirname(experiment),
    env: { ...process.env, ...environment },
    // A group of its own, as a shell gives it.
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("distmis could not be started");
  let printed = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    printed += text;
  });
  // Not "close": what it started may hold its pipes for a while.
  const exit = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  return { pid, exit, said: () => printed };
}
