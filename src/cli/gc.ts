/** `distmis gc` */
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";

interface Arguments {
  run: string;
  "keep-best": number | undefined;
  "dry-run": boolean;
  json: boolean;
}

export const gcCommand: CommandModule<object, Arguments> = {
  command: "gc <run>",
  describe: "Free the space of checkpoints that a run no longer needs",
  builder: (yargs) =>
    yargs
      .positional("run", { type: "string", demandOption: true, describe: "Folder of the run" })
      .option("keep-best", {
        type: "number",
        requiresArg: true,
        describe: "Keep best checkpoints of so many of the best trials. Default: of all completed ones",
      })
      .option("dry-run", { type: "boolean", default: false, describe: "Only say what would be removed" })
      .option("json", { type: "boolean", default: false, describe: "Print what was removed as JSON" })
      .check(({ "keep-best": keep }) => {
        if (keep !== undefined && !(Number.isInteger(keep) && keep >= 1))
          throw new DistmisError("USAGE", `--keep-best ${keep}: expected a whole number of at least 1`);
        return true;
      })
      .example("$0 gc runs/hippocampus --keep-best 3 --dry-run", "What would go, were 3 trials enough")
      .epilogue(
        "Of completed trials the best checkpoints stay; of failed and pruned ones none does, unless it is the run's best. Trials that " +
          "have not ended keep all they have. What is removed can't be trained further: `run --extend` with more epochs goes on from a " +
          "trial's best epoch, or from its beginning.",
      ),
  handler: async ({ run, "keep-best": keepBest, "dry-run": dryRun, json }) => {
    const { collectRun, formatBytes } = await import("../index.ts");
    const collected = await collectRun(run, { dryRun, ...(keepBest === undefined ? {} : { keepBest }) });
    if (json) {
      console.log(JSON.stringify(collected));
      return;
    }
    const { files, freedBytes, keptBytes, trials } = collected;
    for (const { file, bytes } of files)
      console.log(
        `${dryRun ? "would remove" : "removed"} ${file} (${bytes === 0 ? "a further name" : formatBytes(bytes)})`,
      );
    const of = trials.length === 0 ? "" : ` of ${trials.length} ${trials.length === 1 ? "trial" : "trials"}`;
    const what = `${files.length} ${files.length === 1 ? "file" : "files"}${of}`;
    console.log(
      files.length === 0
        ? `nothing to free; checkpoints that are needed take ${formatBytes(keptBytes)}`
        : `${dryRun ? "would free" : "freed"} ${formatBytes(freedBytes)} (${what}); checkpoints that stay take ${formatBytes(keptBytes)}`,
    );
  },
};
