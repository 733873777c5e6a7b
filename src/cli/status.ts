/** `distmis status` */
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import { type ServerArguments, serverOptions, withServerOptions } from "./server-options.ts";

interface Arguments extends ServerArguments {
  run: string | undefined;
  json: boolean;
}

export const statusCommand: CommandModule<object, Arguments> = {
  command: "status [run]",
  describe: "How a run and its SLURM job stand; without a run, the experiments of a server",
  builder: (yargs) =>
    withServerOptions(yargs.positional("run", { type: "string", describe: "Folder of a run" }))
      .option("json", {
        type: "boolean",
        default: false,
        describe: "Print JSON: the run and its job; or the server, and each experiment with its state",
      })
      .check(({ run, server }) => {
        if (run !== undefined && server !== undefined)
          throw new DistmisError("USAGE", "expected the folder of a run or --server, found both");
        return true;
      })
      .example("$0 status runs/hippocampus", "Trials so far, where it runs, how much of its time is left")
      .example("$0 status --server head:7400", "What runs there, what waits, what has ended"),
  handler: async (args) => {
    if (args.run !== undefined) {
      const { showStatus } = await import("./show-status.ts");
      return showStatus(args.run, args.json);
    }
    const { connectServer, experimentsTable } = await import("../index.ts");
    const server = await connectServer(serverOptions(args));
    try {
      const { experiments, ...about } = await server.list();
      if (args.json) console.log(JSON.stringify({ ...about, experiments }, null, 1));
      else {
        console.log(`distmis ${about.version} at ${server.address} on ${about.host}, runs in ${about.runsDir}`);
        if (experiments.length > 0) console.log(experimentsTable(experiments));
        else console.log("no experiments yet; `distmis run EXPERIMENT --server ADDRESS` hands one in");
      }
    } finally {
      server.close();
    }
  },
};
