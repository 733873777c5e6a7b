/** `distmis demo`: the main job from images to segmentations. */
import type { CommandModule } from "yargs";

export interface DemoArguments {
  "source-dir": string | undefined;
  split: string[] | undefined;
  "run-dir": string | undefined;
  epochs: number | undefined;
  gpus: number;
  set: string[] | undefined;
}

export const demoCommand: CommandModule<object, DemoArguments> = {
  command: "demo",
  describe: "The main job on a small phantom or on a data set of yours: images -> search -> test Dice -> segmentations",
  builder: (yargs) =>
    yargs
      .option("source-dir", {
        type: "string",
        requiresArg: true,
        describe: "MSD data set: folder with dataset.json, imagesTr and labelsTr. Default: a phantom is made",
      })
      .option("split", {
        type: "string",
        array: true,
        requiresArg: true,
        defaultDescription: "0.7,0.15,0.15",
        describe: "Shares of train, valid and test, in the order of dataset.json; they sum to 1",
      })
      .option("run-dir", {
        type: "string",
        requiresArg: true,
        describe: "Folder for everything. Default: runs/demo-DATE-TIME",
      })
      .option("epochs", {
        type: "number",
        requiresArg: true,
        describe: "Epochs of each trial",
        defaultDescription: "by the number of volumes",
      })
      .option("gpus", {
        type: "number",
        default: 2,
        requiresArg: true,
        describe: "GPUs, real or logical; as many trials run at once",
      })
      .option("set", {
        type: "string",
        array: true,
        nargs: 1,
        describe: "Override a field of configs/demo.yaml, as PATH=VALUE; may be repeated",
      })
      .example("$0 demo", "On a phantom, in a few minutes on 2 CPUs")
      .example("$0 demo --source-dir Task04_Hippocampus", "On a data set of the Medical Segmentation Decathlon"),
  handler: async (args) => {
    const { runDemo } = await import("./run-demo.ts");
    await runDemo(args);
  },
};
