/** `distmis data-parallel`: DistMIS's data_parallel.py. */
import type { CommandModule } from "yargs";
import { type RunArguments, withRunOptions } from "./run-options.ts";

interface Arguments extends RunArguments {
  config: string;
}

export const dataParallelCommand: CommandModule<object, Arguments> = {
  command: "data-parallel",
  describe:
    "DistMIS's data parallelism: its JSON configuration, its grid of 32 models one after the other over all replicas",
  builder: (yargs) =>
    withRunOptions(
      yargs.option("config", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "DistMIS's JSON (num_replicas, batch_size_per_replica, num_epochs, debug), or any experiment file",
      }),
    )
      .example("$0 data-parallel --config config.json --dataset-dir tfrecords", "Each model on num_replicas GPUs")
      .example("$0 data-parallel --config config.json --set train.warmup_epochs=2", "With a warm-up")
      .example("$0 data-parallel --config config.json --set train.scale_learning_rate=none", "The rates as they are"),
  handler: async ({ config, ...rest }) => {
    const { runToEnd } = await import("./run-to-end.ts");
    await runToEnd(config, rest, "data-parallel");
  },
};
