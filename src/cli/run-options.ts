/** The options that `run`, `exp-parallel`, `data-parallel` and `submit` share. */
import type { Argv } from "yargs";
import { type ServerArguments, withServerOptions } from "./server-options.ts";
import { type SlurmArguments, withSlurmOptions } from "./slurm-options.ts";

/** Which experiment, and in which folder. */
export interface ExperimentArguments {
  set: string[] | undefined;
  "dataset-dir": string | undefined;
  "stage-to-local": string | undefined;
  "stage-limit": number | undefined;
  "run-dir": string | undefined;
  fresh: boolean | undefined;
  extend: boolean | undefined;
  "retry-failed": boolean | undefined;
  "disk-check": boolean;
}

export interface RunArguments extends ExperimentArguments, ServerArguments, SlurmArguments {
  "dry-run": boolean | undefined;
  "ray-address": string | undefined;
  gpus: number | undefined;
  cpus: number | undefined;
  json: boolean;
  detach: boolean | undefined;
}

export function withExperimentOptions<T>(yargs: Argv<T>): Argv<T & ExperimentArguments> {
  return yargs
    .option("set", {
      type: "string",
      array: true,
      nargs: 1,
      describe: "Override a field of the experiment, as PATH=VALUE; may be repeated",
    })
    .option("dataset-dir", {
      type: "string",
      requiresArg: true,
      describe: "Folder that `distmis tfrecord` wrote; takes the place of data.dir",
    })
    .option("stage-to-local", {
      type: "string",
      describe:
        "Copy the TFRecords to each node's local disk, once a node, and read them there: below this folder, or without one below $TMPDIR or /tmp",
    })
    .option("stage-limit", {
      type: "number",
      requiresArg: true,
      implies: "stage-to-local",
      describe: "With --stage-to-local: GB above which a data set is read where it lies. Default: 200",
    })
    .option("run-dir", {
      type: "string",
      requiresArg: true,
      describe:
        "Folder of the run, shared by all nodes; one that exists is continued. Default: runs/NAME. With --server: its name",
    })
    .option("fresh", {
      type: "boolean",
      // No default: yargs would take it for given, and then for a conflict.
      conflicts: "run-dir",
      describe: "Start over in a new folder (runs/NAME-2, ...) instead of continuing runs/NAME",
    })
    .option("extend", {
      type: "boolean",
      conflicts: "fresh",
      describe: "Continue a run with a changed experiment: more epochs, a wider space, other limits",
    })
    .option("retry-failed", {
      type: "boolean",
      conflicts: "fresh",
      describe: "Run the failed trials of a run again",
    })
    .option("disk-check", {
      type: "boolean",
      default: true,
      describe: "Refuse a run whose checkpoints will not find room on the disk; --no-disk-check starts it all the same",
    });
}

export function withRunOptions<T>(yargs: Argv<T>): Argv<T & RunArguments> {
  const server = "Hand the experiment to the `distmis serve` there, and follow it: HOST:PORT, unix:PATH, or `local`";
  return withSlurmOptions(withServerOptions(withExperimentOptions(yargs), server))
    .option("dry-run", {
      type: "boolean",
      conflicts: "server",
      describe: "Only list the trials and estimate their time: no cluster, no run folder; --gpus N reckons with N GPUs",
    })
    .option("ray-address", {
      type: "string",
      requiresArg: true,
      describe:
        "Existing Ray cluster: HOST:PORT of its head, `auto`, or `local` (see `distmis cluster`); `slurm`: start Ray on the nodes of this job. Default: start Ray on this machine",
      conflicts: "server",
    })
    .option("gpus", {
      type: "number",
      requiresArg: true,
      conflicts: ["ray-address", "server"],
      describe: "GPUs of the Ray that is started here, real or logical. Default: those of the machine",
    })
    .option("cpus", {
      type: "number",
      requiresArg: true,
      conflicts: ["ray-address", "server"],
      describe: "CPUs of the Ray that is started here. Default: those of the machine",
    })
    .option("detach", {
      type: "boolean",
      implies: "server",
      describe: "With --server: don't follow the run, print its name",
    })
    .option("json", {
      type: "boolean",
      default: false,
      describe: "Print every event as a line of JSON on standard output, and nothing else",
    });
}
