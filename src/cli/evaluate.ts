/** `distmis evaluate` */
import type { CommandModule } from "yargs";
import { progressLine } from "./progress.ts";

interface Arguments {
  predictions: string;
  labels: string;
  merge: boolean;
  partial: boolean;
  json: boolean;
  csv: string | undefined;
  "dataset-json": string | undefined;
}

export const evaluateCommand: CommandModule<object, Arguments> = {
  command: "evaluate",
  describe: "Measure segmentations against labels: Dice, IoU, HD95 and more",
  builder: (yargs) =>
    yargs
      .option("predictions", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "Folder of NIfTI segmentations, as `distmis predict` writes them",
      })
      .option("labels", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "Folder of NIfTI labels, with the names of the predictions and on their grids",
      })
      .option("merge", {
        type: "boolean",
        default: false,
        describe: "Count every class above 0 as one, to measure a binary model",
      })
      .option("partial", {
        type: "boolean",
        default: false,
        describe: "Leave out labels that have no prediction, for example those of a training set",
      })
      .option("dataset-json", {
        type: "string",
        requiresArg: true,
        describe: "dataset.json that names the classes",
        defaultDescription: "that of the folder above --labels, if there is one",
      })
      .option("json", { type: "boolean", default: false, describe: "Print JSON, with every case and class" })
      .option("csv", { type: "string", requiresArg: true, describe: "Write a table to this file as well" })
      .example(
        "$0 evaluate --predictions masks --labels Task04/labelsTr --partial",
        "What of a data set was predicted",
      ),
  handler: async ({ predictions, labels, merge, partial, json, csv, "dataset-json": datasetJson }) => {
    const { evaluateFolders, evaluationTable, writeEvaluationCsv } = await import("../index.ts");
    const interrupt = new AbortController();
    const onInterrupt = (): void => interrupt.abort();
    process.once("SIGINT", onInterrupt);
    const line = progressLine("Measuring", "cases");
    try {
      const options = { predictions, labels, merge, partial, signal: interrupt.signal };
      const named = datasetJson === undefined ? options : { ...options, datasetJson };
      const result = await evaluateFolders(named, (done, total) => line.update(done, total));
      line.stop();
      for (const note of result.notes) process.stderr.write(`Note: ${note}.\n`);
      console.log(json ? JSON.stringify(result, null, 1) : evaluationTable(result));
      if (csv !== undefined) await writeEvaluationCsv(csv, result);
    } finally {
      line.stop();
      process.off("SIGINT", onInterrupt);
    }
  },
};
