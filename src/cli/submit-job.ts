/** What `distmis submit` does. */
import path from "node:path";
import {
  checkCapacity,
  checkFolder,
  checkInputs,
  DistmisError,
  type DryRun,
  defaultRunDir,
  dryRun,
  type Experiment,
  jobSettings,
  loadExperiment,
  readProfile,
  refuseLiveJob,
  scriptOf,
  submitJob,
} from "../index.ts";
import { loadOptions, sayIfUnstaged } from "./load-options.ts";
import type { ExperimentArguments } from "./run-options.ts";
import { writeOut } from "./write-out.ts";

export interface SubmitArguments extends ExperimentArguments {
  experiment: string | undefined;
  config: string | undefined;
  profile: string | undefined;
  nodes: number | undefined;
  "gpus-per-node": number | undefined;
  "cpus-per-node": number | undefined;
  time: string | undefined;
  partition: string | undefined;
  qos: string | undefined;
  account: string | undefined;
  constraint: string | undefined;
  exclusive: boolean | undefined;
  modules: string[] | undefined;
  sbatch: string[] | undefined;
  "min-nodes": number | undefined;
  "node-deadline": number | undefined;
  interface: string | undefined;
  "max-requeues": number | undefined;
  print: boolean;
  json: boolean;
}

/** Options that are settings of the job, by the names that profiles have for them. */
function given(args: SubmitArguments): Record<string, unknown> {
  const { nodes, time, partition, qos, account, constraint, exclusive, modules, sbatch } = args;
  const stage = args["stage-to-local"];
  const settings = {
    nodes,
    gpus_per_node: args["gpus-per-node"],
    cpus_per_node: args["cpus-per-node"],
    time,
    partition,
    qos,
    account,
    constraint,
    exclusive,
    modules: modules?.flatMap((each) => each.split(/[\s,]+/).filter((name) => name !== "")),
    sbatch,
    min_nodes: args["min-nodes"],
    node_deadline: args["node-deadline"],
    interface: args.interface,
    max_requeues: args["max-requeues"],
    stage_to_local: stage === "" ? true : stage,
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

export async function submit(args: SubmitArguments): Promise<void> {
  const file = args.experiment ?? args.config ?? "";
  const settings = jobSettings(args.profile === undefined ? {} : await readProfile(args.profile), given(args));
  const { stageToLocal } = settings;
  const stage = stageToLocal === true ? "" : stageToLocal || undefined;
  // Into the experiment, which is kept: the script need not say it.
  const experiment = await loadExperiment(file, loadOptions({ ...args, "stage-to-local": stage }));
  sayIfUnstaged(experiment, stage);
  const runDir = args["run-dir"] ?? defaultRunDir(experiment.name, args.fresh === true);
  // What would else show after hours in the queue.
  await checkInputs(experiment);
  const ended = args.print ? [] : await refuseLiveJob(runDir);
  const options = { extend: args.extend === true, retryFailed: args["retry-failed"] === true };
  if ((await checkFolder(path.resolve(runDir), experiment, options, ended)) === "finished")
    throw new DistmisError(
      "RUN_REFUSED",
      `${runDir}: this run has finished, a job would have nothing to do; go on with --extend or --retry-failed, or start anew with --fresh`,
    );
  checkCapacity(needOf(experiment, await dryRun(experiment, { runDir, ...options })), settings);
  const job = {
    experiment,
    experimentFile: file,
    runDir,
    settings,
    runOptions: [...(options.extend ? ["--extend"] : []), ...(args["disk-check"] ? [] : ["--no-disk-check"])],
    onceOptions: options.retryFailed ? ["--retry-failed"] : [],
  };
  if (args.print) return writeOut(scriptOf(job));
  const submitted = await submitJob(job);
  if (args.json) return writeOut(`${JSON.stringify(submitted)}\n`);
  await writeOut(`job ${submitted.job}\nrun folder: ${submitted.runDir}\nlog: ${submitted.log}\n`);
}

function needOf({ resources }: Experiment, { trials }: DryRun) {
  // An elastic trial takes fewer where there are fewer.
  const least = (replicas: number): number => Math.min(replicas, resources.elastic?.min ?? replicas);
  return {
    replicas: trials.reduce((most, { replicas }) => Math.max(most, least(replicas)), 1),
    gpusPerReplica: resources.gpus_per_replica,
    cpusPerReplica: resources.cpus_per_replica,
  };
}
