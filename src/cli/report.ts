/** `distmis report` */
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import type { ReportArguments } from "./write-report.ts";

export const reportCommand: CommandModule<object, ReportArguments> = {
  command: "report <run..>",
  describe: "A run as one HTML file with the charts of `dashboard`, as Markdown for a paper, or its charts as pictures",
  builder: (yargs) =>
    yargs
      .positional("run", {
        type: "string",
        array: true,
        demandOption: true,
        describe: "Folder of the run; for Markdown also of several",
      })
      .option("format", {
        choices: ["html", "md"] as const,
        requiresArg: true,
        describe:
          "html (default): a page that opens from disk; md: mean and deviation over seeds and folds, the best configuration, methods",
      })
      .option("output", {
        type: "string",
        alias: "o",
        requiresArg: true,
        describe: "File to write; one that is there is replaced. Default: report.html; md is printed",
      })
      .option("figures", {
        type: "string",
        requiresArg: true,
        describe:
          "Write the charts into this folder, as SVG and PNG; no report unless --format or -o asks for one; md links them",
      })
      .check(({ run, format, figures }) => {
        if (run.length > 1 && (figures !== undefined || format !== "md"))
          throw new DistmisError("USAGE", `expected one run, found ${run.length}: only --format md takes several`);
        return true;
      })
      .example("$0 report runs/hippocampus -o hippocampus.html", "Also of a run that goes on")
      .example("$0 report runs/fold-* --format md", "Five folds of one experiment, as a table for a paper")
      .example("$0 report runs/hippocampus --figures figures", "Its charts, to be put into a paper"),
  handler: async (args) => {
    const { writeReport } = await import("./write-report.ts");
    await writeReport(args);
  },
};
