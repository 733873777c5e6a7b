/** The options of `distmis tfrecord`, from the words of the command line to those of writeTfrecords. */
import type { Argv } from "yargs";
import { DistmisError } from "../errors/index.ts";
import type { WriteTfrecordsOptions } from "../index.ts";
import { parseEdges, parseTriple, parseTripleOrAuto } from "./tuple.ts";

export interface TfrecordArguments {
  "source-dir": string;
  "target-dir": string;
  split: string[] | undefined;
  seed: number | undefined;
  fold: string | undefined;
  modalities: string[] | undefined;
  orientation: string | undefined;
  resample: string[] | undefined;
  reshape: string[] | undefined;
  "pad-or-crop": string[] | undefined;
  divisor: number;
  labels: "binary" | "multiclass";
  augment: number;
  augmentation: string | undefined;
  "skip-bad": boolean;
  "repair-nonfinite": "zero" | undefined;
  "repair-labels": "round" | "background" | undefined;
  overwrite: boolean;
  workers: number | undefined;
}

const words = { type: "string", array: true, requiresArg: true } as const;
const word = { type: "string", requiresArg: true } as const;
const number = { type: "number", requiresArg: true } as const;

export function declareOptions(yargs: Argv): Argv<TfrecordArguments> {
  return yargs
    .option("source-dir", {
      ...word,
      demandOption: true,
      describe: "Folder with dataset.json, imagesTr and labelsTr",
    })
    .option("target-dir", {
      ...word,
      alias: "target-source",
      demandOption: true,
      describe: "Folder for the TFRecords and info.json; made if it doesn't exist",
    })
    .option("split", {
      ...words,
      defaultDescription: "0.7,0.15,0.15",
      describe: "Shares of train, valid and test, in dataset.json's order",
    })
    .option("seed", { ...number, describe: "Shuffle the volumes before they are split, and seed --augment" })
    .option("fold", {
      ...word,
      describe: "K/N: every N-th volume from the K-th on is the test split; --split divides the others",
    })
    .option("modalities", {
      ...words,
      describe: "Names or numbers of dataset.json's, in this order",
    })
    .option("orientation", { ...word, describe: "Turn all volumes to this, for example RAS" })
    .option("resample", { ...words, describe: "Edges of a voxel in mm: X,Y,Z, one number, or auto: the median" })
    .option("reshape", {
      ...words,
      describe: "Resize to X,Y,Z voxels, or auto: the rounded median shape",
      defaultDescription: "as stored; 155 slices are cut to 152",
    })
    .option("pad-or-crop", { ...words, describe: "Pad and crop to X,Y,Z voxels, or auto: the largest shape" })
    .option("divisor", {
      ...number,
      default: 8,
      describe: "Sides are padded to multiples of it, but for --reshape X,Y,Z: 2^depth of the network; 1: never",
    })
    .option("labels", {
      choices: ["binary", "multiclass"] as const,
      default: "binary" as const,
      describe: "binary: every class above 0 is one; multiclass: each class of dataset.json by itself",
    })
    .option("augment", { ...number, default: 0, describe: "Augmented copies of each training volume" })
    .option("augmentation", {
      ...word,
      describe: "YAML file with what an experiment has below train.augmentation",
      defaultDescription: "preset: distmis",
    })
    .option("skip-bad", {
      type: "boolean",
      default: false,
      describe: "Leave bad pairs out instead of ending with the first one; info.json lists them",
    })
    .option("repair-nonfinite", {
      choices: ["zero"] as const,
      describe: "What becomes of NaN and infinite voxels",
      defaultDescription: "refused",
    })
    .option("repair-labels", {
      choices: ["round", "background"] as const,
      describe: "What becomes of label voxels that are no class",
      defaultDescription: "refused",
    })
    .option("overwrite", { type: "boolean", default: false, describe: "Replace another data set in the target folder" })
    .option("workers", { ...number, describe: "Threads", defaultDescription: "by CPUs, memory and amount of work" });
}

/** Errors: USAGE naming the option; those of loadAugmentation. */
export async function readOptions(args: TfrecordArguments): Promise<WriteTfrecordsOptions> {
  const { loadAugmentation } = await import("../index.ts");
  const given = <K extends keyof WriteTfrecordsOptions, V>(
    key: K,
    value: V | undefined,
    parse: (value: V) => NonNullable<WriteTfrecordsOptions[K]>,
  ): Partial<Pick<WriteTfrecordsOptions, K>> => {
    const option: Partial<WriteTfrecordsOptions> = {};
    if (value !== undefined) option[key] = parse(value);
    return option;
  };
  const same = <V>(value: V): V => value;
  return {
    sourceDir: args["source-dir"],
    targetDir: args["target-dir"],
    divisor: args.divisor,
    labels: args.labels,
    augment: args.augment,
    skipBad: args["skip-bad"],
    overwrite: args.overwrite,
    ...given("split", args.split, (value) => parseTriple("split", value, "0.7,0.15,0.15")),
    ...given("seed", args.seed, same),
    ...given("fold", args.fold, parseFold),
    ...given("modalities", args.modalities, parseNames),
    ...given("orientation", args.orientation?.toUpperCase(), same),
    ...given("resample", args.resample, (value) => parseEdges("resample", value, "1,1,3")),
    ...given("reshape", args.reshape, (value) => parseTripleOrAuto("reshape", value, "120,120,152")),
    ...given("padOrCrop", args["pad-or-crop"], (value) => parseTripleOrAuto("pad-or-crop", value, "192,224,160")),
    ...given(
      "augmentation",
      args.augmentation === undefined ? undefined : await loadAugmentation(args.augmentation),
      same,
    ),
    ...given("repairNonfinite", args["repair-nonfinite"], same),
    ...given("repairLabels", args["repair-labels"], same),
    ...given("workers", args.workers, same),
  };
}

/** "FLAIR,T1w" or two words. */
function parseNames(given: readonly string[]): string[] {
  return given.flatMap((part) => part.split(",")).flatMap((part) => part.trim() || []);
}

function parseFold(text: string): { index: number; of: number } {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (index === undefined) throw new DistmisError("USAGE", `--fold ${text}: expected K/N, for example --fold 1/5`);
  return { index: Number(index), of: Number(of) };
}
