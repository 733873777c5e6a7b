/** `distmis submit` */
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import { withExperimentOptions } from "./run-options.ts";
import type { SubmitArguments } from "./submit-job.ts";

export const submitCommand: CommandModule<object, SubmitArguments> = {
  command: "submit [experiment]",
  describe: "Submit a run to SLURM, or its continuation: a Ray over the nodes of one job, ended with it",
  builder: (yargs) =>
    withExperimentOptions(
      yargs
        .positional("experiment", { type: "string", describe: "Experiment file, YAML or JSON" })
        .option("config", { type: "string", requiresArg: true, describe: "The same, as an option" })
        .check(({ experiment, config }) => {
          if ((experiment === undefined) === (config === undefined)) {
            throw new DistmisError("USAGE", "name one experiment file, as `distmis submit FILE` or with --config FILE");
          }
          return true;
        }),
    )
      .option("profile", {
        type: "string",
        requiresArg: true,
        describe: "Settings of the cluster: a name (generic, marenostrum5-acc), or a file. What is given here wins",
      })
      .option("nodes", { type: "number", requiresArg: true, describe: "Nodes. Default: 1" })
      .option("gpus-per-node", { type: "number", requiresArg: true, describe: "GPUs of each node" })
      .option("cpus-per-node", { type: "number", requiresArg: true, describe: "CPUs of each node" })
      .option("time", { type: "string", requiresArg: true, describe: "Time limit, as sbatch takes it: 48:00:00" })
      .option("partition", { type: "string", requiresArg: true, describe: "As of sbatch" })
      .option("qos", { type: "string", requiresArg: true, describe: "As of sbatch" })
      .option("account", { type: "string", requiresArg: true, describe: "As of sbatch" })
      .option("constraint", { type: "string", requiresArg: true, describe: "As of sbatch" })
      .option("exclusive", { type: "boolean", describe: "Whole nodes" })
      .option("modules", {
        type: "string",
        array: true,
        nargs: 1,
        describe: "Environment modules to load, with commas between them; may be repeated",
      })
      .option("sbatch", {
        type: "string",
        array: true,
        nargs: 1,
        describe: "Any other option of sbatch, as mem=64G; may be repeated",
      })
      .option("min-nodes", {
        type: "number",
        requiresArg: true,
        describe: "Begin with so many nodes if the others don't come. Default: all",
      })
      .option("node-deadline", {
        type: "number",
        requiresArg: true,
        describe: "Seconds that nodes have to come up, from the start of the job. Default: 300",
      })
      .option("interface", {
        type: "string",
        requiresArg: true,
        describe: "Network interface for the nodes' addresses, such as ib0. Default: that of their names",
      })
      .option("max-requeues", {
        type: "number",
        requiresArg: true,
        describe: "How often the job queues again when its time is over, or it was preempted. Default: 10",
      })
      .option("print", {
        type: "boolean",
        default: false,
        describe: "Print the batch script, and write and submit nothing",
      })
      .option("json", { type: "boolean", default: false, describe: "Print the job and its files as JSON" })
      .example("$0 submit exp.yaml --profile marenostrum5-acc --account bsc21", "On 4 nodes of 4 GPUs")
      .example("$0 submit exp.yaml --profile generic --nodes 2 --time 2:00:00 --print", "What would be submitted")
      .example("$0 status runs/exp", "How the run and its job stand; also `logs runs/exp --job`, `cancel runs/exp`")
      .epilogue("docs/cluster.md tells of profiles, time limits and a script for sbatch by hand."),
  handler: async (args) => {
    const { submit } = await import("./submit-job.ts");
    await submit(args);
  },
};
