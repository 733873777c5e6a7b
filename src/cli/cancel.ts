/** `distmis cancel` */
import type { CommandModule } from "yargs";
import { isRunFolder } from "./run-argument.ts";
import { type ServerArguments, serverOptions, withServerOptions } from "./server-options.ts";

interface Arguments extends ServerArguments {
  run: string;
  now: boolean;
}

export const cancelCommand: CommandModule<object, Arguments> = {
  command: "cancel <run>",
  describe: "Stop a run's SLURM job, or a run on a server, or take it from the queue; handing it in again continues it",
  builder: (yargs) =>
    withServerOptions(
      yargs.positional("run", {
        type: "string",
        demandOption: true,
        describe: "Folder of the run, or its name on the server, see `distmis status`",
      }),
    ).option("now", {
      type: "boolean",
      default: false,
      describe: "On a server: kill its trials, rather than let their step end and write a checkpoint",
    }),
  handler: async (args) => {
    if (await isRunFolder(args.run, args)) {
      const { cancelJob } = await import("../index.ts");
      console.log(`job ${(await cancelJob(args.run)).job} is being ended; submitting the run again continues it`);
      return;
    }
    const { connectServer } = await import("../index.ts");
    const server = await connectServer(serverOptions(args));
    try {
      const { run, state, trials } = await server.cancel(args.run, args.now);
      const ended = `${trials.ended}${trials.total === null ? "" : ` of ${trials.total}`} trials had ended`;
      console.log(`run ${run} is ${state}; ${ended}`);
    } finally {
      server.close();
    }
  },
};
