/** What the machine is and what it allows: processor, memory, C library, limits, disks. */
import fs from "node:fs/promises";
import os from "node:os";
import { z } from "zod";
import { messageOf } from "../errors/index.ts";
import { type Finding, finding } from "./finding.ts";

/** Below this much free space a search is likely to end with a full disk. */
const LITTLE_DISK = 5e9;
/** Ray's store, of 100 MB with a Ray of our own, lies there. */
const LITTLE_SHARED_MEMORY = 2e8;
/** Ray opens some hundred files and sockets, and more with each worker. */
const FEW_FILES = 4096;
/** TensorFlow and Ray start a thread a CPU each, several times over, and each counts. */
const FEW_PROCESSES = 2048;
/** In the order in which processors got them. */
const INSTRUCTION_SETS = ["avx", "avx2", "fma", "avx512f", "avx512vl", "avx512dq", "avx512_bf16", "amx_tile"];

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0)} GB`;

export function machine(): Finding {
  const cpus = `${os.availableParallelism()} CPUs`;
  const [free, total] = [gigabytes(os.freemem()), gigabytes(os.totalmem())];
  return finding(
    "Machine",
    `${os.hostname()}, ${os.platform()} ${os.arch()}, ${cpus}, ${free} of ${total} memory free`,
    {
      likeness: `${os.platform()} ${os.arch()}, ${cpus}, ${total} memory`,
    },
  );
}

/** Which of distmis's and oneDNN's kernels run is decided by it at run time. */
export async function processor(): Promise<Finding> {
  const text = await fs.readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const flags = new Set(/^flags\s*:(.*)$/m.exec(text)?.[1]?.split(" "));
  const sets = INSTRUCTION_SETS.filter((name) => flags.has(name));
  return finding("CPU", `${os.cpus()[0]?.model.trim() ?? "unknown"}: ${sets.join(" ") || "no AVX"}`, {
    remedy: sets.includes("avx") ? null : "TensorFlow's wheel needs AVX: use another machine",
  });
}

const reportSchema = z.object({ header: z.object({ glibcVersionRuntime: z.string() }) });

export function cLibrary(): Finding {
  const report = reportSchema.safeParse(process.report.getReport());
  return finding("glibc", report.success ? report.data.header.glibcVersionRuntime : "not found");
}

export function memoryLimit(): Finding {
  const limit = process.constrainedMemory();
  // Without a limit Node says 0, or a number beyond any machine.
  return finding("Memory limit", limit > 0 && limit < os.totalmem() ? gigabytes(limit) : "none");
}

/** The hard ones, up to which Node and Ray go by themselves. */
export async function limits(): Promise<Finding> {
  const text = await fs.readFile("/proc/self/limits", "utf8").catch(() => "");
  const hard = (name: string): string => new RegExp(`^${name} +\\S+ +(\\S+)`, "m").exec(text)?.[1] ?? "unlimited";
  const [files, processes] = [hard("Max open files"), hard("Max processes")];
  const few = [
    ...(Number(files) < FEW_FILES ? [`ulimit -n is ${files}, ${FEW_FILES} or more are needed`] : []),
    ...(Number(processes) < FEW_PROCESSES ? [`ulimit -u is ${processes}, ${FEW_PROCESSES} or more are needed`] : []),
  ];
  return finding("Limits", `${files} open files (ulimit -n), ${processes} processes (ulimit -u)`, {
    remedy: few.length === 0 ? null : `raise them in /etc/security/limits.conf: ${few.join("; ")}`,
  });
}

/** @param shared whether all nodes of a cluster are to see the same folder there */
export async function disk(subject: string, dir: string, { shared = false } = {}): Promise<Finding> {
  try {
    const { bavail, bsize } = await fs.statfs(dir);
    const free = bavail * bsize;
    const { ino } = await fs.stat(dir);
    return finding(subject, `${gigabytes(free)} free in ${dir}`, {
      remedy: free < LITTLE_DISK ? "free some space: checkpoints and TFRecords of a search need gigabytes" : null,
      likeness: shared ? `${dir} (inode ${ino})` : dir,
      differs: shared ? "these are not the same folder: runs and data must lie where all nodes see them" : null,
    });
  } catch (error) {
    const where = shared ? "choose a folder that all nodes see" : "choose a folder that exists";
    return finding(subject, `${dir}: ${messageOf(error)}`, { remedy: where });
  }
}

export async function sharedMemory(): Promise<Finding> {
  try {
    const { blocks, bavail, bsize } = await fs.statfs("/dev/shm");
    const [size, free] = [blocks * bsize, bavail * bsize];
    return finding("/dev/shm", `${gigabytes(free)} of ${gigabytes(size)} free`, {
      likeness: gigabytes(size),
      remedy: free < LITTLE_SHARED_MEMORY ? "make room for Ray's object store (in a container: --shm-size=1g)" : null,
    });
  } catch (error) {
    return finding("/dev/shm", messageOf(error), { remedy: "Ray needs it for its object store" });
  }
}
