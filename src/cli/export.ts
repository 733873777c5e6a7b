/** `distmis export` */
import type { CommandModule } from "yargs";

interface Arguments {
  model: string;
  output: string;
  overwrite: boolean;
}

export const exportCommand: CommandModule<object, Arguments> = {
  command: "export",
  describe: "Write a trained model as a folder that others read: safetensors and JSON",
  builder: (yargs) =>
    yargs
      .option("model", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "Folder of a run (its best trial is used) or of a trial, or a checkpoint file",
      })
      .option("output", { type: "string", demandOption: true, requiresArg: true, describe: "Folder to make" })
      .option("overwrite", {
        type: "boolean",
        default: false,
        describe: "Replace the model in that folder; a folder of anything else is never replaced",
      })
      .example("$0 export --model runs/hippocampus/trials/0003 --output hippocampus-3", "The best epoch of a trial")
      .epilogue(
        "A finished run has the model of its best trial in RUN/model. docs/data-formats.md describes the files.",
      ),
  handler: async ({ model, output, overwrite }) => {
    const { exportModel, findCheckpoint } = await import("../index.ts");
    const folder = await exportModel({ checkpoint: await findCheckpoint(model), output, overwrite });
    console.log(`model folder: ${folder}`);
  },
};
