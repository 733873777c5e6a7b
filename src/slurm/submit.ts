/** From an experiment to a job in the queue. */
import path from "node:path";
import { stringify } from "yaml";
import type { Experiment } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import { makeFolder, packageRoot, packageVersion } from "../paths/index.ts";
import { runFiles } from "../run-folder/index.ts";
import { sbatch } from "./commands.ts";
import { type JobState, jobHasEnded, jobState } from "./job-state.ts";
import { type Job, jobFiles, readJobs, recordJob } from "./jobs.ts";
import { shellWord } from "./quote.ts";
import { jobScript } from "./script.ts";
import type { JobSettings } from "./settings.ts";

export interface JobPlan {
  experiment: Experiment;
  /** Where it came from, for the script's reader. */
  experimentFile: string;
  runDir: string;
  settings: JobSettings;
  /** Further options of `distmis run`, such as `--extend`. */
  runOptions: readonly string[];
  /** Those for the first start alone. */
  onceOptions: readonly string[];
}

export interface SubmittedJob {
  job: string;
  cluster: string | null;
  /** Absolute, as all that follow. */
  runDir: string;
  script: string;
  log: string;
}

/** The batch script of a plan. Writes nothing. */
export function scriptOf({ experiment, experimentFile, runDir, settings, runOptions, onceOptions }: JobPlan): string {
  const dir = path.resolve(runDir);
  // Whole paths: the job begins in another shell on another host.
  const program = [process.execPath, path.join(packageRoot(), "bin", "distmis")];
  return jobScript({
    name: experiment.name,
    dir: runFiles.slurm(dir),
    settings,
    command: [...program, "run", jobFiles.experiment(dir), "--run-dir", dir, ...runOptions],
    once: onceOptions,
    comment: [
      `Written by \`distmis submit\` ${packageVersion()} from ${path.resolve(experimentFile)}; docs/cluster.md tells more.`,
      "`sbatch` of this file starts or continues the same run.",
    ],
  });
}

/**
 * The job that waits or runs for `runDir`, and how it stands; null if there is none.
 * @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function liveJob(runDir: string): Promise<{ job: Job; state: JobState } | null> {
  for (const job of (await readJobs(runDir)).reverse()) {
    const state = await jobState(job);
    if (!jobHasEnded(state)) return { job, state };
  }
  return null;
}

/**
 * The numbers of the run's jobs, which have all ended.
 * @throws DistmisError RUN_REFUSED if one of them waits or runs, SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function refuseLiveJob(runDir: string): Promise<string[]> {
  const live = await liveJob(runDir);
  if (live !== null)
    throw new DistmisError(
      "RUN_REFUSED",
      `${path.resolve(runDir)}: job ${live.job.job} of this run is ${live.state.state}; wait for its end, end it with \`distmis cancel ${shellWord(runDir)}\`, or name another folder with --run-dir or --fresh`,
    );
  return (await readJobs(runDir)).map(({ job }) => job);
}

/**
 * Writes the script into the run's folder and hands it to sbatch.
 * @throws DistmisError RUN_REFUSED if a job of this run waits or runs, SLURM_FAILED with sbatch's words, SETUP_INCOMPLETE
 */
export async function submitJob(plan: JobPlan): Promise<SubmittedJob> {
  const runDir = path.resolve(plan.runDir);
  await refuseLiveJob(plan.runDir);
  const text = scriptOf(plan);
  const script = jobFiles.script(runDir);
  await makeFolder(path.dirname(script));
  const origin = path.resolve(plan.experimentFile).replaceAll(/\p{Cc}/gu, " ");
  const header = `# What the job runs: ${origin} and the options of \`distmis submit\`, resolved.\n`;
  await replaceFile(jobFiles.experiment(runDir), `${header}${stringify(plan.experiment)}`);
  await replaceFile(script, text);
  const { job, cluster } = await sbatch([script]);
  const log = path.join(runFiles.slurm(runDir), `${job}.log`);
  await recordJob(runDir, { job, cluster, by: "submit", script, log });
  return { job, cluster, runDir, script, log };
}
