/** The nodes that a person gets who says little. */
import { execFile } from "node:child_process";
import os from "node:os";
import { promisify } from "node:util";
import type { LocalNode } from "./state.ts";

/** @param cpus of each node; null: those of the machine, divided  @param gpus likewise; one logical one where there is none */
export async function defaultNodes(count: number, cpus: number | null, gpus: number | null): Promise<LocalNode[]> {
  const devices = await visibleGpus();
  const each = gpus ?? Math.max(1, Math.floor(devices.length / count));
  const real = devices.length >= count * each;
  return Array.from({ length: count }, (_, node) => ({
    cpus: cpus ?? Math.max(1, Math.floor(os.availableParallelism() / count)),
    gpus: each,
    // Else each node would give out all GPUs of the machine. More than there are can only be logical.
    devices: real && devices.length > 0 ? devices.slice(node * each, (node + 1) * each).join(",") : null,
  }));
}

/** The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them. */
async function visibleGpus(): Promise<string[]> {
  const chosen = process.env.CUDA_VISIBLE_DEVICES;
  if (chosen !== undefined) return chosen.split(",").filter((device) => device !== "");
  const query = promisify(execFile)("nvidia-smi", ["--query-gpu=index", "--format=csv,noheader"], { timeout: 10_000 });
  const { stdout } = await query.catch(() => ({ stdout: "" }));
  return stdout.split("\n").filter((line) => /^\d+$/.test(line));
}
