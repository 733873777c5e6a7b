/** This machine. */
import os from "node:os";
import path from "node:path";
import { packageRoot, packageVersion, pythonPath } from "../paths/index.ts";
import { nvidia, tensorflow } from "./devices.ts";
import { type Finding, finding, output } from "./finding.ts";
import { cLibrary, disk, limits, machine, memoryLimit, processor, sharedMemory } from "./machine.ts";

function node(): Finding {
  const major = Number(process.versions.node.split(".")[0]);
  return finding("Node", `${process.version} (${process.execPath})`, {
    remedy: major >= 20 && major <= 22 ? null : "install Node 20 or 22",
    differs: "install the same Node at the same path on all nodes",
  });
}

async function program(
  subject: string,
  command: string,
  args: string[],
  remedy: string | null,
  absent = "not found",
): Promise<Finding> {
  const answer = await output(command, args);
  return answer === null ? finding(subject, absent, { remedy }) : finding(subject, answer.split("\n")[0] ?? "");
}

async function ray(): Promise<Finding> {
  const python = pythonPath();
  const script = "import sys, ray; print(f'{ray.__version__}, Python {sys.version.split()[0]}')";
  const answer = await output(python, ["-c", script]);
  return finding("Ray", `${answer ?? "not found"} (${python})`, {
    remedy: answer === null ? "run `distmis setup`" : null,
    differs: "Ray takes only nodes with one version of Ray and of Python: install the same on all nodes",
  });
}

/**
 * Everything, in the order in which a person would look.
 * @param runs where runs are to lie; need not exist
 */
export async function examine(runs: string): Promise<Finding[]> {
  return [
    finding("distmis", `${packageVersion()} (${packageRoot()})`, {
      differs: "install the same distmis at the same path on all nodes",
    }),
    machine(),
    await processor(),
    cLibrary(),
    node(),
    ...tensorflow(),
    ...(await nvidia()),
    await ray(),
    await program("setpriv", "setpriv", ["--version"], "sudo apt-get install util-linux"),
    await program("SLURM", "sinfo", ["--version"], null, "not found (needed only to submit jobs)"),
    memoryLimit(),
    await limits(),
    await sharedMemory(),
    await disk("Disk for runs", path.resolve(runs), { shared: true }),
    await disk("Disk for Ray", path.resolve(os.tmpdir())),
  ];
}
