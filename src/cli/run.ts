/** `distmis run` */
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import { type RunArguments, withRunOptions } from "./run-options.ts";

interface Arguments extends RunArguments {
  experiment: string | undefined;
  config: string | undefined;
}

export const runCommand: CommandModule<object, Arguments> = {
  command: "run [experiment]",
  describe: "Run an experiment, or continue it: a search, or one trial if it has no search space",
  builder: (yargs) =>
    withRunOptions(
      yargs
        .positional("experiment", { type: "string", describe: "Experiment file, YAML or JSON" })
        .option("config", { type: "string", requiresArg: true, describe: "The same, as an option" })
        .check(({ experiment, config }) => {
          if ((experiment === undefined) === (config === undefined)) {
            throw new DistmisError("USAGE", "name one experiment file, as `distmis run FILE` or with --config FILE");
          }
          return true;
        }),
    )
      .example("$0 run configs/hippocampus.yaml --dataset-dir tfrecords", "Search on the GPUs of this machine")
      .example("$0 run exp.yaml --gpus 2", "Two trials at once on a machine without GPUs")
      .example("$0 run exp.yaml --set train.learning_rate=1e-3 --fresh", "Override a field, in a new run folder")
      .example("$0 run exp.yaml --dry-run --gpus 8", "List its trials, and what they would take on 8 GPUs")
      .example("$0 run exp.yaml --ray-address head:6379", "On the Ray cluster that runs there")
      .example("$0 run exp.yaml --server local", "In the queue of the `distmis serve` on this machine"),
  handler: async ({ experiment, config, ...rest }) => {
    const { runToEnd } = await import("./run-to-end.ts");
    await runToEnd(experiment ?? config ?? "", rest);
  },
};
