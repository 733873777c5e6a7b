/** `distmis predict` */
import type { CommandModule } from "yargs";
import type { Prediction } from "../index.ts";
import { progressLine } from "./progress.ts";

interface Arguments {
  model: string[];
  input: string[];
  output: string;
  probabilities: boolean;
  overlap: number;
  "skip-existing": boolean;
  threads: number | undefined;
  json: boolean;
}

export const predictCommand: CommandModule<object, Arguments> = {
  command: "predict",
  describe: "Segment NIfTI images with a trained model",
  builder: (yargs) =>
    yargs
      .option("model", {
        type: "string",
        array: true,
        demandOption: true,
        requiresArg: true,
        describe:
          "Folder of a run (its best trial is used), of a trial or of an exported model, or a checkpoint file; of several, the mean of their " +
          "probabilities counts",
      })
      .option("input", {
        type: "string",
        array: true,
        demandOption: true,
        requiresArg: true,
        describe: "NIfTI files, or folders of them, with the channels that the model was trained on",
      })
      .option("output", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "Folder for the segmentations, each named as its image, on the image's own grid",
      })
      .option("probabilities", {
        type: "boolean",
        default: false,
        describe:
          "Write probabilities/NAME_prob.nii.gz as well: the probability of each voxel, or of each class along a fourth axis",
      })
      .option("overlap", {
        type: "number",
        default: 0.5,
        requiresArg: true,
        describe: "Overlap of neighbouring windows, as a share, for images larger than what the model was trained on",
      })
      .option("skip-existing", {
        type: "boolean",
        default: false,
        describe: "Go on where an interrupted run ended: leave out images whose output is there",
      })
      .option("threads", { type: "number", describe: "TensorFlow's threads", defaultDescription: "one for each CPU" })
      .option("json", { type: "boolean", default: false, describe: "Print a line of JSON for each image" })
      .example("$0 predict --model runs/hippocampus --input scans --output masks", "All scans of a folder")
      .example("$0 predict --model fold1 fold2 --input scans --output masks", "The mean of two models"),
  handler: async (args) => {
    const { predict } = await import("../index.ts");
    const interrupt = new AbortController();
    const onInterrupt = (): void => interrupt.abort();
    process.once("SIGINT", onInterrupt);
    // A bar and a line for each image don't go together on one terminal.
    const bar = process.stderr.isTTY ? progressLine("Predicting", "images") : null;
    const lines = args.json || bar === null || !process.stdout.isTTY;
    const done: Prediction[] = [];
    const started = performance.now();
    try {
      const options = {
        model: args.model,
        inputs: args.input,
        outputDir: args.output,
        probabilities: args.probabilities,
        overlap: args.overlap,
        skipExisting: args["skip-existing"],
        signal: interrupt.signal,
        ...(args.threads === undefined ? {} : { threads: args.threads }),
      };
      for await (const prediction of predict(options, (images, total) => bar?.update(images, total))) {
        done.push(prediction);
        if (lines) console.log(args.json ? JSON.stringify(asJson(prediction)) : asLine(prediction));
      }
      bar?.stop();
      if (!lines) console.log(summary(done, args.output, (performance.now() - started) / 1000));
    } finally {
      bar?.stop();
      process.off("SIGINT", onInterrupt);
    }
  },
};

function asJson({ input, output, probabilities, seconds, skipped }: Prediction): object {
  return { input, output, probabilities, seconds: Number(seconds.toFixed(3)), skipped };
}

function asLine({ number, total, output, seconds, skipped }: Prediction): string {
  return `${number}/${total}  ${output}  ${skipped ? "was there" : `${seconds.toFixed(1)} s`}`;
}

function summary(done: readonly Prediction[], folder: string, seconds: number): string {
  const skipped = done.filter((prediction) => prediction.skipped).length;
  const written = done.length - skipped;
  const were = skipped > 0 ? `, ${skipped} were there` : "";
  return `${written} segmentation${written === 1 ? "" : "s"} in ${folder}${were} (${seconds.toFixed(1)} s)`;
}
