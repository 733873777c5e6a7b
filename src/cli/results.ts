/** `distmis results` */
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import type { ResultsArguments } from "./show-results.ts";

export const resultsCommand: CommandModule<object, ResultsArguments> = {
  command: "results <run..>",
  describe: "The best trials of a run and which parameters matter; several runs beside each other",
  builder: (yargs) =>
    yargs
      .positional("run", { type: "string", array: true, demandOption: true, describe: "Folders of runs" })
      .option("top", {
        type: "number",
        requiresArg: true,
        describe: "So many of the best trials. Default: 40 in the table, else all",
      })
      .option("json", { type: "boolean", default: false, describe: "Print everything as JSON" })
      .option("csv", { type: "boolean", default: false, describe: "Print the trials as CSV" })
      .option("importance", {
        type: "boolean",
        default: true,
        describe: "Ask Optuna how much each parameter decides; --no-importance leaves the two seconds out",
      })
      .option("optuna", {
        type: "string",
        requiresArg: true,
        describe: "Write the run's trials into this file for optuna-dashboard: an SQLite database, or a .journal",
      })
      .check(({ top, json, csv }) => {
        if (json && csv) throw new DistmisError("USAGE", "expected one of --json and --csv, found both");
        if (top !== undefined && !(Number.isInteger(top) && top >= 1))
          throw new DistmisError("USAGE", `--top ${top}: expected a whole number of at least 1`);
        return true;
      })
      .example("$0 results runs/hippocampus", "Also of a run that goes on")
      .example("$0 results runs/a runs/b", "Which one was better, and how their experiments differ")
      .example("$0 results runs/hippocampus --json | jq .best.parameters", "The best parameters, for a program")
      .epilogue("docs/analysis.md tells what the numbers mean, and how to look at a run with TensorBoard."),
  handler: async (args) => {
    const { showResults } = await import("./show-results.ts");
    await showResults(args);
  },
};
