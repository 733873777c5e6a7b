/** Searches as jobs of a test cluster: their scripts, what they printed, and what they leave. */
import fs from "node:fs";
import path from "node:path";
import { processesWith } from "../../src/processes/index.ts";
import { distmisCommand } from "../support/command.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";
import type { SlurmCluster } from "./slurm-cluster.ts";

export interface SearchJobs {
  /** Folder of experiments, runs and logs. */
  readonly folder: string;
  /** Writes an experiment of trials that count `epochs` epochs of 50 ms. Returns its file. */
  experiment(name: string, epochs: number, trials: number, more?: string): string;
  /**
   * Submits a search in it, and returns the job's id.
   * @param variables "NAME=value" of the shell that submits it, and so of the job
   */
  submit(
    experiment: string,
    options: readonly string[],
    runOptions?: readonly string[],
    variables?: readonly string[],
  ): Promise<string>;
  /** What a job has printed so far. */
  log(job: string): string;
  /** Waits until it has printed this. */
  said(job: string, what: RegExp, deadlineMs?: number): Promise<void>;
  /** Records of the run of an experiment. */
  journal(name: string): { type: string; trial?: string; epoch?: number; state?: string }[];
  /** Processes of a job on all hosts: "pid command line". */
  left(job: string): string[];
  /** Waits until neither a process of a job nor a folder of any is left. Returns after how many seconds there was none. */
  gone(job: string, deadlineMs?: number): Promise<number>;
}

/** Between two looks at a job that says nothing. */
const LOOK_MILLISECONDS = 2_000;

/** All that a search needs on two hosts of the default size. */
export const TWO_NODES = ["-N2", "--ntasks-per-node=1", "--cpus-per-task=4", "--gpus-per-node=2"];

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/**
 * @param nodes how many hosts the cluster has
 * @param user whose jobs they are; default: root's, from the sources
 */
export async function searchJobs(
  cluster: SlurmCluster,
  folder: string,
  nodes: number,
  user?: string,
): Promise<SearchJobs> {
  const exec = user === undefined ? cluster.exec : (...args: string[]) => cluster.as(user, ...args);
  // What compiles the sources would leave each user's cache of it in /tmp.
  const program = (args: string[]): string[] =>
    user === undefined ? distmisCommand(args) : [process.execPath, path.join(repositoryRoot, "bin/distmis"), ...args];
  const namespaces = await Promise.all(
    Array.from({ length: nodes }, (_, index) => cluster.node(index + 1, "readlink", "/proc/self/ns/pid")),
  );
  const hosts = new Set(namespaces.map((text) => text.trim()));
  const logFile = (job: string): string => path.join(folder, `${job}.log`);
  const log = (job: string): string => (fs.existsSync(logFile(job)) ? fs.readFileSync(logFile(job), "utf8") : "");
  const tail = (job: string): string => log(job).slice(-3000);
  const left = (job: string): string[] =>
    processesWith(`SLURM_JOB_ID=${job}`)
      .filter(ofCluster(cluster))
      .map(({ pid, command }) => `${pid} ${command}`);
  const module = path.join(repositoryRoot, "test/fixtures/tasks/until-stopped.mjs");
  return {
    folder,
    log,
    experiment(name, epochs, trials, more = "") {
      const file = path.join(folder, `${name}.yaml`);
      const grid = JSON.stringify(Array.from({ length: trials }, (_, index) => index));
      const space = `search: { space: { trainer.parameters.index: { grid: ${grid} } } }`;
      const task = `trainer: { module: ${module}, parameters: { epochs: ${epochs} } }`;
      fs.writeFileSync(file, `name: ${name}\n${task}\n${space}\nresources: { cpus_per_replica: 1 }\n${more}`);
      return file;
    },
    async submit(experiment, options, runOptions = [], variables = []) {
      const name = path.basename(experiment, ".yaml");
      const args = ["run", experiment, "--run-dir", path.join(folder, "runs", name), "--ray-address", "slurm"];
      const command = program([...args, ...runOptions])
        .map(quote)
        .join(" ");
      const script = path.join(folder, `${name}.sbatch`);
      // A job that follows has the options of the script alone.
      const all = [`--output=${path.join(folder, "%j.log")}`, "--open-mode=append", ...options];
      const lines = all.map((option) => `#SBATCH ${option}`);
      fs.writeFileSync(script, `#!/bin/bash\n${lines.join("\n")}\nexec ${command}\n`);
      return (await exec("env", ...variables, "sbatch", "--parsable", script)).trim();
    },
    async said(job, what, deadlineMs = 120_000) {
      const over = ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL"];
      let looked = performance.now();
      const heard = async (): Promise<boolean> => {
        if (what.test(log(job))) return true;
        if (performance.now() - looked < LOOK_MILLISECONDS) return false;
        looked = performance.now();
        const state = await cluster.jobState(job);
        if (over.includes(state) && !what.test(log(job)))
          throw new Error(`job ${job} is ${state} without ${what}: ${tail(job)}`);
        return false;
      };
      await until(() => `${what} of job ${job}; it said ${tail(job)}`, heard, deadlineMs);
    },
    journal(name) {
      const file = path.join(folder, "runs", name, "journal.jsonl");
      const lines = fs.readFileSync(file, "utf8").split("\n");
      return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
    },
    left,
    async gone(job, deadlineMs = 30_000) {
      const began = performance.now();
      const all = (): string[] => [...left(job), ...privateFolders(hosts)];
      await until(
        () => `the end of job ${job}: ${all().join("\n")}`,
        () => all().length === 0,
        deadlineMs,
      );
      return (performance.now() - began) / 1000;
    },
  };
}

/** Other clusters have jobs of the same number. */
function ofCluster({ dir }: SlurmCluster): (found: { pid: number }) => boolean {
  return ({ pid }) => {
    try {
      return fs.readFileSync(`/proc/${pid}/environ`, "latin1").includes(`SLURM_CONF=${dir}/slurm.conf`);
    } catch {
      return false; // It has ended meanwhile.
    }
  };
}

/** Folders in /tmp whose owners live, or lived, on hosts with these process namespaces. */
function privateFolders(hosts: ReadonlySet<string>): string[] {
  return fs.readdirSync("/tmp").flatMap((name) => {
    try {
      const folder = path.join("/tmp", name);
      const { pidNamespace } = JSON.parse(fs.readFileSync(path.join(folder, "owner.json"), "utf8"));
      return hosts.has(pidNamespace) ? [folder] : [];
    } catch {
      return []; // Not one of distmis's.
    }
  });
}
