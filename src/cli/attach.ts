/** `distmis attach` */
import type { CommandModule } from "yargs";
import { type ServerArguments, serverOptions, withServerOptions } from "./server-options.ts";

interface Arguments extends ServerArguments {
  run: string;
  "trial-output": boolean;
  json: boolean;
}

export const attachCommand: CommandModule<object, Arguments> = {
  command: "attach <run>",
  describe: "Follow a run on a server: how it stands, then what happens; Ctrl-C leaves it running",
  builder: (yargs) =>
    withServerOptions(
      yargs.positional("run", {
        type: "string",
        demandOption: true,
        describe: "Name of the run, see `distmis status`",
      }),
    )
      .option("trial-output", { type: "boolean", default: false, describe: "Also show what the trials print" })
      .option("json", {
        type: "boolean",
        default: false,
        describe: "Print every event as a line of JSON on standard output, and nothing else",
      })
      .example("$0 attach hippocampus", "On your own server on this machine")
      .example("$0 attach hippocampus --server head:7400 --tls-cert server.crt", "On another one"),
  handler: async (args) => {
    const [{ connectServer }, { followToEnd }] = await Promise.all([
      import("../index.ts"),
      import("./follow-to-end.ts"),
    ]);
    const server = await connectServer(serverOptions(args));
    try {
      await followToEnd(server, args.run, { json: args.json, trialOutput: args["trial-output"], args });
    } finally {
      server.close();
    }
  },
};
