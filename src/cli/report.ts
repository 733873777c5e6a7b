/** `distmis report` */
import type { CommandModule } from "yargs";

interface Arguments {
  run: string;
  output: string;
}

export const reportCommand: CommandModule<object, Arguments> = {
  command: "report <run>",
  describe: "Write a run as one HTML file that opens from disk: the charts of `dashboard` and a segmentation",
  builder: (yargs) =>
    yargs
      .positional("run", { type: "string", demandOption: true, describe: "Folder of the run" })
      .option("output", {
        type: "string",
        alias: "o",
        default: "report.html",
        requiresArg: true,
        describe: "File to write; one that is there is replaced",
      })
      .example("$0 report runs/hippocampus -o hippocampus.html", "Also of a run that goes on"),
  handler: async ({ run, output }) => {
    const { formatBytes, writePageReport } = await import("../index.ts");
    const { file, bytes, remarks } = await writePageReport(run, output);
    for (const remark of remarks) console.log(`note: ${remark}`);
    console.log(`report: ${file} (${formatBytes(bytes)})`);
  },
};
