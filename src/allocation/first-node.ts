/** The search has to run on the first node of an allocation, beside Ray's head: `salloc` leaves its shell on the login node. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import os, { constants } from "node:os";
import { isatty } from "node:tty";
import { DistmisError, messageOf } from "../errors/index.ts";
import { type Allocation, findAllocation, withGpus } from "./allocation.ts";
import { stepArguments, stepEnvironment } from "./host-step.ts";

const HANDED_ON = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;

/**
 * Does nothing on the first node; elsewhere runs the same command there and returns its exit code.
 * @throws DistmisError as findAllocation
 */
export async function startOnFirstNode(): Promise<number | null> {
  const allocation = await findAllocation();
  return isFirst(allocation) ? null : runThere(await withGpus(allocation));
}

function isFirst({ hosts }: Allocation): boolean {
  const here = process.env.SLURMD_NODENAME || os.hostname().split(".")[0];
  return hosts[0]?.name === here;
}

async function runThere({ hosts }: Allocation): Promise<number> {
  const [first] = hosts;
  if (first === undefined) throw new Error("an allocation without hosts");
  const terminal = [0, 1, 2].every((stream) => isatty(stream));
  const options = stepArguments(first).filter((option) => option !== "--unbuffered");
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const words = [...options, ...(terminal ? ["--pty"] : []), ...command];
  const child = spawn("srun", words, { stdio: "inherit", env: stepEnvironment() });
  // `srun` asks for a second Ctrl-C where it has no terminal; SIGTERM reaches the search as such, and the others as they are.
  const handOn = (signal: NodeJS.Signals): boolean => child.kill(signal === "SIGINT" ? "SIGTERM" : signal);
  for (const signal of HANDED_ON) process.on(signal, handOn);
  try {
    const [code, signal] = await once(child, "exit");
    return signal === null ? code : 128 + constants.signals[signal as NodeJS.Signals];
  } catch (error) {
    throw new DistmisError("SLURM_FAILED", `srun can't be run: ${messageOf(error)}`, { cause: error });
  } finally {
    for (const signal of HANDED_ON) process.off(signal, handOn);
  }
}
