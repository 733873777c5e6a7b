import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import { type ProgressLine, progressLine } from "./progress.ts";
import { listenForStop } from "./signals.ts";
import { parseTriple } from "./tuple.ts";

interface Arguments {
  "source-dir": string;
  "target-dir": string;
  split: string[] | undefined;
  reshape: string[] | undefined;
  divisor: number;
  labels: "binary" | "multiclass";
  fold: string | undefined;
  overwrite: boolean;
  workers: number | undefined;
}

/** `distmis tfrecord`: DistMIS's tfrecord.py. */
export const tfrecordCommand: CommandModule<object, Arguments> = {
  command: "tfrecord",
  describe: "Turn an MSD data set (NIfTI) into TFRecords for training",
  builder: (yargs) =>
    yargs
      .option("source-dir", {
        type: "string",
        demandOption: true,
        describe: "Folder with dataset.json, imagesTr and labelsTr",
      })
      .option("target-dir", {
        alias: "target-source",
        type: "string",
        demandOption: true,
        describe: "Folder for the TFRecords and info.json; made if it doesn't exist",
      })
      .option("split", {
        type: "string",
        array: true,
        requiresArg: true,
        defaultDescription: "0.7,0.15,0.15",
        describe: "Shares of train, valid and test, in dataset.json's order",
      })
      .option("reshape", {
        type: "string",
        array: true,
        requiresArg: true,
        describe: "X,Y,Z of the written volumes, or auto: the rounded median shape",
        defaultDescription: "as stored; 155 slices are cut to 152",
      })
      .option("divisor", {
        type: "number",
        default: 8,
        describe: "Sides of --reshape auto are multiples of it: 2^depth of the network",
      })
      .option("labels", {
        choices: ["binary", "multiclass"] as const,
        default: "binary" as const,
        describe: "binary: every class above 0 is one; multiclass: each class of dataset.json by itself",
      })
      .option("fold", {
        type: "string",
        requiresArg: true,
        describe:
          "K/N, for example 1/5: every N-th volume from the K-th on is the test split, the others are divided into " +
          "train and valid in the proportion of --split's first two shares",
      })
      .option("overwrite", {
        type: "boolean",
        default: false,
        describe: "Replace another data set in the target folder",
      })
      .option("workers", {
        type: "number",
        describe: "Threads",
        defaultDescription: "by CPUs, free memory and amount of work",
      })
      .example("$0 tfrecord --source-dir Task01 --target-dir out", "DistMIS's default: 240 x 240 x 152, 70/15/15 %")
      .example(
        "$0 tfrecord --source-dir Task01 --target-dir out --reshape '(120, 120, 152)' --split 0.8,0.1,0.1",
        "smaller volumes",
      )
      .example("$0 tfrecord --source-dir Task04 --target-dir out --reshape auto", "volumes of differing shapes")
      .example(
        "$0 tfrecord --source-dir Task04 --target-dir out --reshape auto --labels multiclass --fold 1/5",
        "each class by itself, the first of five folds held back",
      ),
  handler: async (args) => {
    const split = args.split && parseTriple("split", args.split, "0.7,0.15,0.15");
    const reshape = parseReshape(args.reshape);
    const fold = args.fold === undefined ? undefined : parseFold(args.fold);
    const { writeTfrecords } = await import("../index.ts");
    const signals = listenForStop(() => process.stderr.write("\nStopping after this volume.\n"));
    const lines: Record<"check" | "write", ProgressLine> = {
      check: progressLine("Checking headers", "volumes"),
      write: progressLine("Writing", "volumes"),
    };
    const start = performance.now();
    try {
      const result = await writeTfrecords(
        {
          sourceDir: args["source-dir"],
          targetDir: args["target-dir"],
          ...(split === undefined ? {} : { split }),
          reshape,
          divisor: args.divisor,
          labels: args.labels,
          ...(fold === undefined ? {} : { fold }),
          overwrite: args.overwrite,
          ...(args.workers === undefined ? {} : { workers: args.workers }),
          signal: signals.stop,
        },
        ({ phase, done, total }) => {
          lines[phase].update(done, total);
          if (done === total) lines[phase].stop();
        },
      );
      for (const note of result.notes) console.log(`Note: ${note}.`);
      const { train_size, valid_size, test_size, distmis } = result.info;
      const what = `${train_size} train, ${valid_size} valid, ${test_size} test volumes of ${distmis?.image_shape.join(" x ")}`;
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(
        result.status === "written"
          ? `Wrote ${what} to ${result.targetDir} in ${seconds} s.`
          : `Up to date: ${result.targetDir} holds ${what}.`,
      );
    } finally {
      signals.release();
      lines.check.stop();
      lines.write.stop();
    }
  },
};

function parseReshape(words: string[] | undefined): [number, number, number] | "auto" | null {
  if (words === undefined) return null;
  if (words.length === 1 && words[0] === "auto") return "auto";
  return parseTriple("reshape", words, "120,120,152");
}

function parseFold(text: string): { index: number; of: number } {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (index === undefined) throw new DistmisError("USAGE", `--fold ${text}: expected K/N, for example --fold 1/5`);
  return { index: Number(index), of: Number(of) };
}
