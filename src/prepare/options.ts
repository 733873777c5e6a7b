import { withPreset } from "../augment/index.ts";
import type { AugmentationConfig } from "../config/index.ts";
import {
  checkSplits,
  DEFAULT_SPLIT,
  type Fold,
  type LabelMode,
  type PrepareOptions,
  parseAxisCodes,
  type SplitRatios,
} from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";

/** X, Y, Z in voxels, or in mm. */
export type Triple = readonly [number, number, number];

export interface WriteTfrecordsOptions {
  /** Folder with dataset.json, imagesTr and labelsTr. */
  sourceDir: string;
  /** Made if it doesn't exist. */
  targetDir: string;
  /** Default 0.7, 0.15, 0.15. */
  split?: SplitRatios;
  /** Every `of`-th volume from the `index`-th (from 1) is the test split; `split`'s first two shares divide the others. */
  fold?: Fold;
  /** Shuffles the list before it is split, and seeds the copies. Default: the order of dataset.json, copies by seed 0. */
  seed?: number;
  /** Names of dataset.json or their numbers, in the order that the network gets. Default: all. */
  modalities?: readonly string[];
  /** Axis codes that all volumes are turned to, such as "RAS". Default: as stored. */
  orientation?: string;
  /** Edges of a voxel in mm that all volumes are resampled to; "auto": the median. Default: as stored. */
  resample?: Triple | "auto";
  /** X, Y, Z that all volumes are resized to; "auto": the median shape, rounded to multiples of `divisor`. */
  reshape?: Triple | "auto" | null;
  /** X, Y, Z that all volumes are padded or cropped to; "auto": the largest side on each axis. Rounded up to `divisor`. */
  padOrCrop?: Triple | "auto";
  /** Sides that nobody gave are multiples of it: 2^depth of the network. Default 8; 1 for any side. */
  divisor?: number;
  /** Default "binary": every class above 0 is 1. "multiclass": the target is the class's place among dataset.json's, ascending. */
  labels?: LabelMode;
  /** Augmented copies of each training volume. Default 0. */
  augment?: number;
  /** What happens to the copies, without a crop. Default: the preset `distmis`. */
  augmentation?: AugmentationConfig;
  /** Goes on past bad pairs, and lists them. */
  skipBad?: boolean;
  /** Voxels of an image that are NaN or infinite. Default "refuse"; "zero" sets them to 0. */
  repairNonfinite?: "refuse" | "zero";
  /** Voxels of a label that are no class. Default "refuse"; "round" to the nearest whole number, "background" to 0. */
  repairLabels?: "refuse" | "round" | "background";
  /** Replace another data set in the target folder. */
  overwrite?: boolean;
  /** Threads. Default: the machine's CPUs, fewer where memory or the amount of work say so. */
  workers?: number;
  /** Ends the work after the volumes in hand. */
  signal?: AbortSignal;
}

const LARGEST_SEED = 2 ** 32 - 1;
const MOST_COPIES = 1000;

/** The options that shape the data set, as info.json records them. Errors: USAGE naming the option. */
export function recordedOptions(options: WriteTfrecordsOptions): PrepareOptions {
  const { split = DEFAULT_SPLIT, reshape = null, padOrCrop = null, resample = null, fold, orientation } = options;
  const { divisor = 8, augment = 0, seed = null, workers } = options;
  const refuse = (option: string, found: unknown, expected: string): DistmisError =>
    new DistmisError("USAGE", `--${option} ${found}: expected ${expected}`);
  const whole = (value: number, least = 1): boolean => Number.isSafeInteger(value) && value >= least;
  for (const [name, shape] of [
    ["reshape", reshape],
    ["pad-or-crop", padOrCrop],
  ] as const) {
    if (shape !== null && shape !== "auto" && !shape.every((side) => whole(side)))
      throw refuse(name, shape.join(","), "three whole numbers above 0, or auto");
  }
  checkSplits(split, fold ?? null);
  if (reshape !== null && padOrCrop !== null) {
    throw new DistmisError(
      "USAGE",
      "--reshape and --pad-or-crop: both say which shape the volumes get, one by resizing, the other by padding; give one of them",
    );
  }
  if (resample !== null && resample !== "auto" && !resample.every((edge) => Number.isFinite(edge) && edge > 0))
    throw refuse("resample", resample.join(","), "edges of a voxel in mm above 0, one or three, or auto");
  if (orientation !== undefined && parseAxisCodes(orientation) === null)
    throw refuse("orientation", orientation, "one letter each of R/L, A/P and S/I, for example RAS");
  if (!whole(divisor)) throw refuse("divisor", divisor, "a whole number above 0");
  if (workers !== undefined && !whole(workers)) throw refuse("workers", workers, "a whole number above 0");
  if (seed !== null && !(whole(seed, 0) && seed <= LARGEST_SEED))
    throw refuse("seed", seed, `a whole number from 0 to ${LARGEST_SEED}`);
  if (!whole(augment, 0) || augment > MOST_COPIES)
    throw refuse("augment", augment, `the number of copies of each training volume, 0 to ${MOST_COPIES}`);
  return {
    split: [...split],
    reshape: list(reshape),
    divisor,
    labels: options.labels ?? "binary",
    fold: fold === undefined ? null : `${fold.index}/${fold.of}`,
    seed,
    modalities: options.modalities === undefined ? null : [...options.modalities],
    orientation: orientation ?? null,
    resample: list(resample),
    pad_or_crop: list(padOrCrop),
    augment,
    augmentation: copiesAugmentation(augment, options.augmentation),
    skip_bad: options.skipBad ?? false,
    repair_nonfinite: options.repairNonfinite ?? "refuse",
    repair_labels: options.repairLabels ?? "refuse",
  };
}

function list(value: Triple | "auto" | null): number[] | "auto" | null {
  return value === null || value === "auto" ? value : [...value];
}

function copiesAugmentation(copies: number, given: AugmentationConfig | undefined): Record<string, unknown> | null {
  if (copies === 0) {
    if (given === undefined) return null;
    throw new DistmisError("USAGE", "--augmentation: says how copies differ; say how many with --augment COPIES");
  }
  if (given?.crop !== undefined) {
    throw new DistmisError(
      "USAGE",
      "--augmentation: crop: copies have the shape of the volumes; crop during training, with train.augmentation.crop",
    );
  }
  return withPreset(given ?? { preset: "distmis" });
}
