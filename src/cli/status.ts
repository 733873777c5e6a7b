/** `distmis status` */
import type { CommandModule } from "yargs";
import { type ServerArguments, serverOptions, withServerOptions } from "./server-options.ts";

interface Arguments extends ServerArguments {
  json: boolean;
}

export const statusCommand: CommandModule<object, Arguments> = {
  command: "status",
  describe: "The experiments of a server: what runs, what waits, what has ended",
  builder: (yargs) =>
    withServerOptions(yargs).option("json", {
      type: "boolean",
      default: false,
      describe: "Print JSON: the server, and each experiment with its state",
    }),
  handler: async (args) => {
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
