/** `distmis exp-parallel`: DistMIS's exp_parallel.py. */
import type { CommandModule } from "yargs";
import { type RunArguments, withRunOptions } from "./run-options.ts";

interface Arguments extends RunArguments {
  config: string;
}

export const expParallelCommand: CommandModule<object, Arguments> = {
  command: "exp-parallel",
  describe: "DistMIS's experiment parallelism: its JSON configuration, its grid of 32 trials",
  builder: (yargs) =>
    withRunOptions(
      yargs.option("config", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "DistMIS's JSON (batch_size_per_replica, num_epochs, debug), or any experiment file",
      }),
    )
      .example("$0 exp-parallel --config config.json --dataset-dir tfrecords", "DistMIS's published search")
      .example("$0 exp-parallel --config config.json --dataset-dir tfrecords --set train.epochs=5", "Shorter"),
  handler: async ({ config, ...rest }) => {
    const { runToEnd } = await import("./run-to-end.ts");
    await runToEnd(config, rest, "exp-parallel");
  },
};
