/** `distmis predict` */
import type { CommandModule } from "yargs";

interface Arguments {
  model: string[];
  input: string[];
  output: string;
  threads: number | undefined;
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
          "Folder of a run (its best trial is used) or of a trial, or a checkpoint file; of several, the mean of their " +
          "probabilities counts",
      })
      .option("input", {
        type: "string",
        array: true,
        demandOption: true,
        requiresArg: true,
        describe: "NIfTI files, or folders of them, with the modalities that the model was trained on",
      })
      .option("output", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "Folder for the masks, each named as its image, on the image's own grid",
      })
      .option("threads", { type: "number", describe: "TensorFlow's threads", defaultDescription: "one for each CPU" })
      .example("$0 predict --model runs/hippocampus --input scans --output masks", "All scans of a folder")
      .example("$0 predict --model fold1 fold2 --input scans --output masks", "The mean of two models"),
  handler: async ({ model, input, output, threads }) => {
    const { predict } = await import("../index.ts");
    const interrupt = new AbortController();
    const onInterrupt = (): void => interrupt.abort();
    process.once("SIGINT", onInterrupt);
    try {
      let done = 0;
      const options = { model, inputs: input, outputDir: output, signal: interrupt.signal };
      for await (const file of predict(threads === undefined ? options : { ...options, threads })) {
        done++;
        console.log(`${done}/${file.total}  ${file.output}`);
      }
    } finally {
      process.off("SIGINT", onInterrupt);
    }
  },
};
