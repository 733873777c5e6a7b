/** A real SLURM of several hosts on this machine, see the manual at the top of test-cluster. */
import { execFile, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";

export interface SlurmClusterOptions {
  /** Hosts node1, node2 and so on; 2 by default. */
  nodes?: number;
  /** Fake GPUs of a host; 2 by default. */
  gpus?: number;
  /** CPUs of a host; 8 by default. */
  cpus?: number;
  /** Whether the last host has half the GPUs and CPUs. */
  hetero?: boolean;
  /** Whether there is a partition `urgent`, whose jobs requeue those of `main` after `grace`. */
  preempt?: boolean;
  /** Seconds between the TERM that preemption begins with and the KILL; 30 by default. */
  grace?: number;
  /** Whether jobs that don't say are requeued when a node is lost; true by default. */
  requeue?: boolean;
  /** Seconds between TERM and KILL; 5 by default. */
  killWait?: number;
  /** Seconds until a silent host is down; 30 by default. */
  slurmdTimeout?: number;
  /** Users that it has beside those of this machine. They may run what belongs to this installation, wherever it lies. */
  users?: readonly string[];
  /** Further lines for slurm.conf. */
  extra?: string;
}

export interface SlurmCluster {
  /** Its folder, seen by all hosts. */
  readonly dir: string;
  /** The program and arguments that run this on the login node. */
  command(args: readonly string[]): [string, ...string[]];
  /** Runs it on the login node, and returns what it printed; an error has what it said. */
  exec(...args: string[]): Promise<string>;
  /** The same, as one of its users. */
  as(user: string, ...args: string[]): Promise<string>;
  /** The folder of one of its users. */
  home(user: string): string;
  /** Runs it on host `node${i}`, i from 1. */
  node(i: number, ...args: string[]): Promise<string>;
  /** Takes a host off the network. */
  down(i: number): Promise<void>;
  up(i: number): Promise<void>;
  /** The state of a job, such as "RUNNING", as scontrol has it. */
  jobState(job: string): Promise<string>;
  /** Waits until the job is in one of these states, and returns which. */
  untilJob(job: string, states: readonly string[], deadlineMs?: number): Promise<string>;
  /** Ends the two minutes for which SLURM holds a requeued job, which begin when the job has left its nodes. */
  startNow(job: string): Promise<void>;
  /** Kills everything in it. */
  stop(): Promise<void>;
}

const SCRIPT = path.join(import.meta.dirname, "test-cluster");
const START_MILLISECONDS = 120_000;
const COMMAND_MILLISECONDS = 600_000;

/** Why no cluster can be started here, or null. It is tried, as containers allow root this and not that. */
export function slurmMissing(): string | null {
  if (process.getuid?.() !== 0) return "a SLURM cluster of namespaces takes root";
  // They may end with an error, as there is no slurm.conf.
  for (const program of ["slurmctld", "slurmd", "sbatch", "srun", "ip"])
    if (spawnSync(program, ["-V"]).error !== undefined)
      return `${program} is not installed (apt-get install slurm-wlm iproute2)`;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-may-i-"));
  try {
    const attempt = `
      hostname distmis-test
      ip link set lo up
      ip link add switch type bridge
      ip link add port type veth peer name eth0
      mount -t tmpfs tmpfs "$1"
      mknod "$1/nvidia0" c 1 3`;
    const words = ["-n", "-u", "-m", "-p", "-f", "--mount-proc", "bash", "-ec", attempt, "attempt", dir];
    const tried = spawnSync("unshare", words, { encoding: "utf8" });
    if (tried.status === 0) return null;
    return `namespaces are not permitted here: ${(tried.stderr || String(tried.error)).trim()}`;
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}

/** Starts one and returns when its nodes are idle; several at once do not meet. The caller stops it. */
export async function startSlurmCluster(options: SlurmClusterOptions = {}): Promise<SlurmCluster> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dms"));
  // Jobs of other users read what lies in it.
  fs.chmodSync(folder, 0o755);
  const dir = path.join(folder, "c");
  const env = { ...process.env, BASE: dir, ...settings(options) };
  const run = async (args: readonly string[], timeout = COMMAND_MILLISECONDS): Promise<string> => {
    const { stdout } = await promisify(execFile)(SCRIPT, args, { env, timeout, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  };
  const stop = async (): Promise<void> => {
    await run(["stop"]);
    fs.rmSync(folder, { recursive: true });
  };
  try {
    await run(["start"], START_MILLISECONDS);
  } catch (error) {
    await stop();
    throw error;
  }
  const exec = (...args: string[]): Promise<string> => run(["exec", ...args]);
  const jobState = async (job: string): Promise<string> => {
    const text = await exec("scontrol", "show", "job", job);
    return /JobState=(\S+)/.exec(text)?.[1] ?? `no state in ${text}`;
  };
  return {
    dir,
    command: (args) => ["env", `BASE=${dir}`, SCRIPT, "exec", ...args],
    exec,
    as: (user, ...args) => run(["as", user, ...args]),
    home: (user) => path.join(dir, "home", user),
    node: (i, ...args) => run(["node", String(i), ...args]),
    async down(i) {
      await run(["down", String(i)]);
    },
    async up(i) {
      await run(["up", String(i)]);
    },
    jobState,
    untilJob(job, states, deadlineMs = 60_000) {
      let last = "";
      const look = async (): Promise<string | null> => {
        last = await jobState(job);
        return states.includes(last) ? last : null;
      };
      return until(() => `job ${job} ${states.join(" or ")}, it is ${last}`, look, deadlineMs);
    },
    async startNow(job) {
      const held = async (): Promise<boolean> =>
        /JobState=PENDING Reason=BeginTime/.test(await exec("scontrol", "show", "job", job)) &&
        (await exec("squeue", "-h", "-j", job, "-o", "%t")).trim() === "PD";
      await until(`job ${job} in the queue`, held, 60_000);
      // The two minutes are for late words of its ends, too.
      await until(`the end of the steps of job ${job}`, () => stepsOf(dir, job).length === 0, 60_000);
      // By whole seconds a node refuses ("credential revoked") what was made in the second in which it ended the job before.
      await exec("scontrol", "update", `JobId=${job}`, "StartTime=now+2");
    },
    stop,
  };
}

/** The sockets of the daemons of a job's steps, which exist until they have reported its end. */
function stepsOf(dir: string, job: string): string[] {
  const spools = fs.readdirSync(dir).filter((name) => name.startsWith("spool."));
  return spools.flatMap((spool) => fs.readdirSync(path.join(dir, spool)).filter((name) => name.includes(`_${job}.`)));
}

/** Folders of the programs that a search runs: a clone or a Python may lie in the home of root, which nobody else may enter. */
function installation(): string[] {
  const python = fs.realpathSync(path.join(repositoryRoot, ".venv/bin/python"));
  const programs = [process.execPath, python].map((file) => path.dirname(path.dirname(fs.realpathSync(file))));
  const folders = [repositoryRoot, fs.realpathSync(path.join(repositoryRoot, ".venv")), ...programs];
  // What is part of the system is open to all.
  return [...new Set(folders)].filter((folder) => !["/usr", "/usr/local"].includes(folder));
}

function settings(options: SlurmClusterOptions): Record<string, string> {
  const { nodes = 2, gpus = 2, cpus = 8, hetero = false, preempt = false, requeue = true, users = [] } = options;
  const flag = (value: boolean): string => (value ? "1" : "0");
  return {
    NODES: String(nodes),
    GPUS: String(gpus),
    CPUS: String(cpus),
    HETERO: flag(hetero),
    PREEMPT: flag(preempt),
    GRACE: String(options.grace ?? 30),
    REQUEUE: flag(requeue),
    KILLWAIT: String(options.killWait ?? 5),
    SLURMD_TIMEOUT: String(options.slurmdTimeout ?? 30),
    USERS: users.join(" "),
    REACH: users.length === 0 ? "" : installation().join(" "),
    EXTRA: options.extra ?? "",
  };
}
