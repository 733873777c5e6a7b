import type { CommandModule } from "yargs";
import { progressLine } from "./progress.ts";
import { listenForStop } from "./signals.ts";
import { parseTriple } from "./tuple.ts";

interface Arguments {
  "target-dir": string;
  count: number;
  shape: string[];
  seed: number;
  modalities: number;
  overwrite: boolean;
}

/** `distmis phantom`: a synthetic data set to try everything with. */
export const phantomCommand: CommandModule<object, Arguments> = {
  command: "phantom",
  describe: "Make a synthetic labelled data set in the MSD layout (NIfTI)",
  builder: (yargs) =>
    yargs
      .option("target-dir", {
        type: "string",
        demandOption: true,
        describe: "Folder for dataset.json, imagesTr and labelsTr; made if it doesn't exist",
      })
      .option("count", { type: "number", default: 24, describe: "Volumes" })
      .option("shape", {
        type: "string",
        array: true,
        requiresArg: true,
        default: ["48,48,40"],
        defaultDescription: "48,48,40",
        describe: "X,Y,Z of a volume",
      })
      .option("seed", { type: "number", default: 1, describe: "The same seed gives the same files" })
      .option("modalities", {
        type: "number",
        default: 4,
        describe: "Channels of an image: FLAIR, T1w, t1gd, T2w, then mixtures",
      })
      .option("overwrite", {
        type: "boolean",
        default: false,
        describe: "Replace another data set in the target folder",
      })
      .example("$0 phantom --target-dir phantom", "24 volumes of 48 x 48 x 40 with 4 modalities")
      .example("$0 phantom --target-dir tiny --count 8 --shape 32,32,32 --modalities 1", "a smaller one"),
  handler: async (args) => {
    const shape = parseTriple("shape", args.shape, "48,48,40");
    const { makePhantom } = await import("../index.ts");
    const signals = listenForStop(() => process.stderr.write("\nStopping after this volume.\n"));
    const line = progressLine("Making the phantom", "volumes");
    const { "target-dir": targetDir, count, seed, modalities, overwrite } = args;
    try {
      const result = await makePhantom(
        { targetDir, count, shape, seed, modalities, overwrite, signal: signals.stop },
        line.update,
      );
      line.stop();
      const what = `${count} volumes of ${shape.join(" x ")} with ${modalities} ${modalities === 1 ? "modality" : "modalities"}, seed ${seed}`;
      console.log(
        result.status === "written"
          ? `Wrote ${what}, to ${result.targetDir}.`
          : `Up to date: ${result.targetDir} holds ${what}.`,
      );
    } finally {
      signals.release();
      line.stop();
    }
  },
};
