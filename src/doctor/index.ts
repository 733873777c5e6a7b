/** What of distmis's surroundings is there, and what to do about what is not. */
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../errors/index.ts";
import { packageRoot, packageVersion, pythonPath } from "../paths/index.ts";
import { loadTensorFlow } from "../tensorflow/index.ts";

const execute = promisify(execFile);

export interface Finding {
  /** What was looked at, for example "TensorFlow". */
  subject: string;
  /** What was found. */
  found: string;
  /** Null if all is well; else what to do. */
  remedy: string | null;
}

/** Below this much free space a search is likely to end with a full disk. */
const LITTLE_DISK = 5e9;

const fine = (subject: string, found: string): Finding => ({ subject, found, remedy: null });

/** What a program prints, or null where it is missing or fails. Ends after 20 s. */
async function output(command: string, args: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await execute(command, [...args], {
      timeout: 20_000,
      env: { ...process.env, RAY_USAGE_STATS_ENABLED: "0" },
    });
    return stdout.trim();
  } catch {
    return null;
  }
}

function node(): Finding {
  const major = Number(process.versions.node.split(".")[0]);
  const found = `${process.version} (${process.execPath})`;
  return { subject: "Node", found, remedy: major >= 20 && major <= 22 ? null : "install Node 20 or 22" };
}

async function program(
  subject: string,
  command: string,
  args: string[],
  remedy: string | null,
  absent = "not found",
): Promise<Finding> {
  const answer = await output(command, args);
  return answer === null ? { subject, found: absent, remedy } : fine(subject, answer.split("\n")[0] ?? "");
}

async function ray(): Promise<Finding> {
  const python = pythonPath();
  const script = "import sys, ray; print(f'{ray.__version__}, Python {sys.version.split()[0]}')";
  return program(`Ray (${python})`, python, ["-c", script], "run `distmis setup`");
}

function tensorflow(): Finding[] {
  try {
    const { version, devices } = loadTensorFlow();
    const gpus = devices.filter((device) => device.type === "GPU").length;
    const oneDnn = process.env.TF_ENABLE_ONEDNN_OPTS;
    return [
      fine("TensorFlow", version),
      fine(
        "Devices",
        `${devices.map((device) => device.name.replace(/^.*device:/, "")).join(", ")}${gpus === 0 ? " (no GPU)" : ""}`,
      ),
      {
        subject: "oneDNN",
        found: oneDnn === "1" ? "on" : `TF_ENABLE_ONEDNN_OPTS is ${oneDnn}`,
        remedy:
          oneDnn === "1"
            ? null
            : "unset TF_ENABLE_ONEDNN_OPTS: training on CPUs takes several times as long without oneDNN",
      },
    ];
  } catch (error) {
    return [{ subject: "TensorFlow", found: messageOf(error), remedy: "run `distmis setup`" }];
  }
}

/** Why TensorFlow may see no GPU where nvidia-smi lists some. */
export function unseenGpus(environment: NodeJS.ProcessEnv): string {
  const { CUDA_VISIBLE_DEVICES: visible, LD_LIBRARY_PATH: libraries } = environment;
  if (visible !== undefined && (visible === "" || visible === "-1")) {
    return `CUDA_VISIBLE_DEVICES is "${visible}", which hides them`;
  }
  // It comes before the RUNPATH by which TensorFlow's wheel finds its own libraries.
  const foreign = libraries?.split(":").find((dir) => /cuda|cudnn|nvidia/i.test(dir));
  const wheel = "TensorFlow does not see them: install its CUDA wheel with `distmis setup --cuda`";
  return foreign ? `${wheel}, and unload the module that puts ${foreign} into LD_LIBRARY_PATH` : wheel;
}

async function nvidia(): Promise<Finding> {
  const answer = await output("nvidia-smi", ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]);
  if (answer === null)
    return fine(
      "NVIDIA GPUs",
      "none (nvidia-smi not found or without an answer); logical GPUs can be asked for with --gpus",
    );
  const names = answer.split("\n");
  const found = `${names.length}: ${names[0]}`;
  try {
    const seen = loadTensorFlow().devices.some((device) => device.type === "GPU");
    return { subject: "NVIDIA GPUs", found, remedy: seen ? null : unseenGpus(process.env) };
  } catch {
    // The finding on TensorFlow itself says why.
    return { subject: "NVIDIA GPUs", found, remedy: "run `distmis setup --cuda`" };
  }
}

async function disk(subject: string, dir: string): Promise<Finding> {
  try {
    const { bavail, bsize } = await fs.statfs(dir);
    const free = bavail * bsize;
    const remedy = free < LITTLE_DISK ? "free some space: checkpoints and TFRecords of a search need gigabytes" : null;
    return { subject, found: `${(free / 1e9).toFixed(0)} GB free in ${dir}`, remedy };
  } catch (error) {
    return { subject, found: `${dir}: ${messageOf(error)}`, remedy: "choose a folder that exists" };
  }
}

/** Everything, in the order in which a person would look. */
export async function examine(): Promise<Finding[]> {
  const memory = `${os.availableParallelism()} CPUs, ${(os.freemem() / 1e9).toFixed(1)} of ${(os.totalmem() / 1e9).toFixed(1)} GB of memory free`;
  return [
    fine("distmis", `${packageVersion()} (${packageRoot()})`),
    fine("Machine", `${os.hostname()}, ${os.platform()} ${os.arch()}, ${memory}`),
    node(),
    ...tensorflow(),
    await nvidia(),
    await ray(),
    await program("setpriv", "setpriv", ["--version"], "sudo apt-get install util-linux"),
    await program("SLURM", "sinfo", ["--version"], null, "not found (needed only to submit jobs)"),
    await disk("Disk for runs", process.cwd()),
    await disk("Disk for Ray", path.resolve(os.tmpdir())),
  ];
}
