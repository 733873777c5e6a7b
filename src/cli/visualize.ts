/** `distmis visualize`: DistMIS's visualize.py, for NIfTI files as well. */
import { relative } from "node:path";
import type { CommandModule } from "yargs";
import { DistmisError } from "../errors/index.ts";
import type { NiftiFiles, SampleChoice } from "../index.ts";
import { parseTriple } from "./tuple.ts";
import { openWithViewer } from "./viewer.ts";

interface Arguments {
  image: string[] | undefined;
  label: string | undefined;
  prediction: string | undefined;
  merge: boolean;
  "dataset-dir": string | undefined;
  sample: number | undefined;
  split: "train" | "valid" | "test" | undefined;
  "data-shape": string[] | undefined;
  slice: string[] | undefined;
  frames: number | undefined;
  delay: number | undefined;
  output: string | undefined;
  "no-screen": boolean;
  json: boolean;
}

export const visualizeCommand: CommandModule<object, Arguments> = {
  command: "visualize [image..]",
  describe: "Draw a volume with its label: a GIF through it, or one PNG; of NIfTI files or a TFRecord sample",
  builder: (yargs) =>
    yargs
      // DistMIS's option is --no-screen itself, not the opposite of a --screen.
      .parserConfiguration({ "boolean-negation": false })
      .positional("image", {
        type: "string",
        array: true,
        describe: "NIfTI image; its fourth axis holds the modalities",
      })
      .option("label", { type: "string", requiresArg: true, describe: "NIfTI label of the image, drawn as outlines" })
      .option("prediction", {
        type: "string",
        requiresArg: true,
        describe:
          "NIfTI segmentation on the image's grid, as `distmis predict` writes it: dashed outlines over the label",
      })
      .option("merge", {
        type: "boolean",
        default: false,
        describe: "Draw every class above 0 as one, to compare with a binary model's prediction",
      })
      .option("dataset-dir", {
        type: "string",
        requiresArg: true,
        describe: "Folder of TFRecords, instead of an image",
      })
      .option("sample", {
        type: "number",
        requiresArg: true,
        defaultDescription: "0",
        describe: "Sample of the data set, counted over train, valid and test",
      })
      .option("split", {
        choices: ["train", "valid", "test"] as const,
        describe: "Count --sample within this split",
      })
      .option("data-shape", {
        type: "string",
        array: true,
        requiresArg: true,
        describe: "X,Y,Z that the records must have; they say it themselves, so that it can be left out",
      })
      .option("slice", {
        type: "string",
        array: true,
        describe: "One PNG: of the planes through voxel X,Y,Z, or without a position, those with the most foreground",
      })
      .option("frames", {
        type: "number",
        requiresArg: true,
        defaultDescription: "one a slice, at most 40",
        describe: "Frames of the GIF, in which the three planes move through their axes together",
      })
      .option("delay", {
        type: "number",
        requiresArg: true,
        defaultDescription: "120",
        describe: "Time of a frame in ms",
      })
      .option("output", {
        type: "string",
        requiresArg: true,
        defaultDescription: "named after what it shows, in this folder",
        describe: "File to write, .gif or with --slice .png",
      })
      .option("no-screen", {
        type: "boolean",
        default: false,
        describe: "Only write the file; don't open it in a viewer",
      })
      .option("json", { type: "boolean", default: false, describe: "Print JSON: file, positions, windows, colours" })
      .conflicts("slice", ["frames", "delay"])
      .conflicts("dataset-dir", "label")
      .epilogue(
        "Planes are drawn in true proportions and in the radiological convention: the patient's right is on the left, as the " +
          "letters say. Black and white are the 1st and 99th percentile of a modality, without the voxels that have the value of " +
          "the volume's first one (its background). With --dataset-dir and --prediction the NIfTI files that the sample was made " +
          "from are drawn.",
      )
      .example("$0 visualize --dataset-dir tfrecords --sample 350 --no-screen", "A sample, as in DistMIS")
      .example("$0 visualize scan.nii.gz --label label.nii.gz --prediction masks/scan.nii.gz", "Prediction over truth")
      .example("$0 visualize scan.nii.gz --slice 120,110,77", "One position as PNG"),
  handler: async (args) => {
    const { images, slice, screen } = sortWords(args);
    const { visualize } = await import("../index.ts");
    const picture = await visualize({ ...sourceOf(args, images), ...drawingOf(args, slice) });
    const name = shorter(picture.file);
    if (args.json) console.log(JSON.stringify(picture, null, 1));
    else {
      const { bytes, width, height, frames, replaced, notes } = picture;
      for (const note of notes) console.log(`Note: ${note}.`);
      const what = `${width} x ${height} pixels, ${frames > 1 ? `${frames} frames, ` : ""}${Math.ceil(bytes / 1024)} kB`;
      console.log(`${replaced ? "Replaced" : "Wrote"} ${name}: ${what}.`);
    }
    if (!screen) return;
    const why = await openWithViewer(picture.file);
    if (why === null) return;
    process.stderr.write(
      `Not shown: ${why}. Open ${name} in any viewer or browser; --no-screen leaves out this line.\n`,
    );
  },
};

interface Words {
  images: string[];
  /** Undefined: a GIF. */
  slice: "auto" | [number, number, number] | undefined;
  /** Open the picture. */
  screen: boolean;
}

/**
 * Options whose value can be left out (--slice) or that DistMIS gives a value (--no-screen True) stand before or behind the image: each word
 * goes where it belongs.
 */
function sortWords(args: Arguments): Words {
  const numbers = /^[\s()[\],.\d+-]+$/;
  const position = args.slice?.filter((word) => numbers.test(word)) ?? [];
  const words = [...(args.image ?? []), ...(args.slice ?? []).filter((word) => !numbers.test(word))];
  const answer = /^(true|false|yes|no|1|0)$/i;
  const images = args["no-screen"] ? words.filter((word) => !answer.test(word)) : words;
  const denied = words.some((word) => /^(false|no|0)$/i.test(word));
  return {
    images,
    slice: args.slice && (position.length === 0 ? "auto" : parseTriple("slice", position, "120,110,77")),
    screen: !args["no-screen"] || denied,
  };
}

type Source =
  | Pick<NiftiFiles, "image" | "label" | "prediction">
  | Pick<SampleChoice, "datasetDir" | "sample" | "split" | "dataShape" | "prediction">;

/** Errors: USAGE for none, both or several of what can be drawn. */
function sourceOf(args: Arguments, images: readonly string[]): Source {
  const { "dataset-dir": datasetDir, "data-shape": shape, label, prediction, sample, split } = args;
  const [image, ...more] = images;
  if (datasetDir !== undefined) {
    if (image !== undefined)
      throw new DistmisError("USAGE", `${image} and --dataset-dir ${datasetDir}: expected one of them`);
    const dataShape = shape && parseTriple("data-shape", shape, "240,240,152");
    return { datasetDir, sample: sample ?? 0, split, dataShape, prediction };
  }
  if (image === undefined) throw new DistmisError("USAGE", "name a NIfTI image, or a data set with --dataset-dir");
  if (more.length > 0) throw new DistmisError("USAGE", `${images.join(", ")}: expected one image`);
  for (const option of ["sample", "split", "data-shape"] as const) {
    if (args[option] !== undefined)
      throw new DistmisError("USAGE", `--${option} belongs to --dataset-dir; ${image} is one volume`);
  }
  return { image, label, prediction };
}

function drawingOf({ frames, delay, merge, output }: Arguments, slice: Words["slice"]) {
  return {
    merge,
    ...(slice === undefined ? {} : { slice }),
    ...(frames === undefined ? {} : { frames }),
    ...(delay === undefined ? {} : { delayMs: delay }),
    ...(output === undefined ? {} : { output }),
  };
}

/** From here where that is below here. */
function shorter(file: string): string {
  const from = relative(process.cwd(), file);
  return from.startsWith("..") ? file : from;
}
