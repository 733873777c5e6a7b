/** `distmis watch` */
import type { CommandModule } from "yargs";

interface Arguments {
  run: string;
  wait: boolean;
  json: boolean;
}

export const watchCommand: CommandModule<object, Arguments> = {
  command: "watch <run>",
  describe: "Follow a run by its folder, wherever it works: how it stands, then what happens; Ctrl-C leaves it running",
  builder: (yargs) =>
    yargs
      .positional("run", { type: "string", demandOption: true, describe: "Folder of the run" })
      .option("wait", {
        type: "boolean",
        default: false,
        describe: "Go on when it has stopped before its end, until it is continued, as by a requeued job",
      })
      .option("json", {
        type: "boolean",
        default: false,
        describe: "Print every event as a line of JSON on standard output, and nothing else",
      })
      .example("$0 watch runs/hippocampus", "On any machine that sees the folder; no connection is needed")
      .example("$0 watch runs/hippocampus --json | jq -c .metrics", "The same for a program"),
  handler: async (args) => {
    const { watchToEnd } = await import("./watch-to-end.ts");
    await watchToEnd(args.run, args);
  },
};
