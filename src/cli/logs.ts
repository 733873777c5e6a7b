/** `distmis logs` */
import type { CommandModule } from "yargs";

interface Arguments {
  run: string;
  trial: string | undefined;
  rank: number | undefined;
  job: boolean;
  follow: boolean;
}

export const logsCommand: CommandModule<object, Arguments> = {
  command: "logs <run> [trial]",
  describe:
    "Print what a trial's trainers, or the run's job, have printed; else list the trials and where their logs lie",
  builder: (yargs) =>
    yargs
      .positional("run", { type: "string", demandOption: true, describe: "Folder of the run" })
      .positional("trial", { type: "string", describe: "A trial's number or id (3, 0003), or `best`" })
      .option("rank", { type: "number", requiresArg: true, describe: "Of this replica alone, from 0" })
      .option("job", { type: "boolean", default: false, describe: "The log of the run's last SLURM job" })
      .option("follow", {
        type: "boolean",
        alias: "f",
        default: false,
        describe: "Go on with what is added, until the trial, or the job, has ended",
      })
      .example("$0 logs runs/hippocampus", "The trials, their states and their logs")
      .example("$0 logs runs/hippocampus 3 --follow", "What trial 0003 prints")
      .example("$0 logs runs/hippocampus --job -f", "What its SLURM job prints"),
  handler: async (args) => {
    const { showLogs } = await import("./show-logs.ts");
    await showLogs(args);
  },
};
