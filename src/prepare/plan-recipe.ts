import { join } from "node:path";
import { DISTMIS_CUT, type PrepareOptions, type Preprocessing, shapeBeforeFit, turnedSpacing } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { MsdDataset } from "./msd.ts";
import type { Scanned } from "./scan.ts";

type Numbers3 = [number, number, number];

/** Predictions are written as uint16 at most. */
const LARGEST_CLASS = 65535;

/**
 * The recipe that the options make of a data set, and what a person should know of it.
 *
 * Errors: USAGE for modalities that there aren't; DATA_INVALID naming two files if shapes differ and no option makes them one, or
 * for a class that no segmentation could hold.
 */
export function planRecipe(
  dataset: MsdDataset,
  scanned: readonly Scanned[],
  options: PrepareOptions,
): { recipe: Preprocessing; notes: string[] } {
  checkClasses(dataset, options);
  const channels = options.modalities === null ? null : channelsOf(dataset.modalities, options.modalities);
  const { orientation, resample, pad_or_crop: padOrCrop } = options;
  // The slices of 155 that DistMIS leaves out make their number divisible: who gives a grid of his own keeps them all.
  const cut = resample === null && padOrCrop === null ? { ...DISTMIS_CUT } : null;
  const spacings = () => scanned.map(({ image }) => turnedSpacing(image, orientation));
  const loose: Preprocessing = {
    version: 1,
    modalities: channels?.map((channel) => dataset.modalities[channel] ?? "") ?? dataset.modalities,
    channels,
    orientation,
    cut,
    spacing: resample === "auto" ? perAxis(spacings(), median) : triple(resample),
    shape: [1, 1, 1],
    fit: "resize",
    resize: "tf-half-pixel",
    standardisation: "per-modality",
    repair: { nonfinite: options.repair_nonfinite, labels: options.repair_labels },
    labels: {
      mode: options.labels,
      classes: Object.fromEntries([...dataset.classes].map(([value, name]) => [String(value), name])),
    },
  };
  const shapes = scanned.map(({ image }) => shapeBeforeFit(image, loose));
  const { shape, fit, notes } = chooseShape(scanned, shapes, options);
  return { recipe: { ...loose, shape, fit }, notes };
}

function checkClasses(dataset: MsdDataset, { labels }: PrepareOptions): void {
  const largest = Math.max(...dataset.classes.keys());
  if (labels === "multiclass" && largest > LARGEST_CLASS) {
    throw new DistmisError(
      "DATA_INVALID",
      `${join(dataset.dir, "dataset.json")}: field "labels": class ${largest}, but a segmentation can hold values up to ${LARGEST_CLASS}`,
    );
  }
}

/** Places of the named modalities; a number is the place itself. */
function channelsOf(known: readonly string[], wanted: readonly string[]): number[] {
  const refuse = (what: string): DistmisError =>
    new DistmisError(
      "USAGE",
      `--modalities ${wanted.join(",")}: ${what}; the data set has ${known.map((name, index) => `${index}: ${name}`).join(", ")}`,
    );
  if (wanted.length === 0) throw refuse("names none");
  const channels = wanted.map((word) => {
    const exact = known.indexOf(word);
    if (exact >= 0) return exact;
    const alike = known.findIndex((name) => name.toLowerCase() === word.toLowerCase());
    if (alike >= 0) return alike;
    const number = /^\d+$/.test(word) ? Number(word) : -1;
    if (number < 0 || number >= known.length) throw refuse(`there is no ${word}`);
    return number;
  });
  const twice = channels.find((channel, index) => channels.indexOf(channel) !== index);
  if (twice !== undefined) throw refuse(`${known[twice]} is named twice`);
  return channels;
}

interface Chosen {
  shape: Numbers3;
  fit: Preprocessing["fit"];
  notes: string[];
}

function chooseShape(scanned: readonly Scanned[], shapes: readonly Numbers3[], options: PrepareOptions): Chosen {
  const { reshape, pad_or_crop: padOrCrop, divisor } = options;
  const nearest = (side: number): number => Math.max(1, Math.round(side / divisor)) * divisor;
  const up = (side: number): number => Math.ceil(side / divisor) * divisor;
  if (reshape === "auto") {
    return { shape: perAxis(shapes, (sides) => nearest(median(sides))), fit: "resize", notes: [] };
  }
  const given = triple(reshape);
  if (given !== null) return { shape: given, fit: "resize", notes: [] };
  if (padOrCrop === "auto") {
    return { shape: perAxis(shapes, (sides) => up(Math.max(...sides))), fit: "pad-or-crop", notes: [] };
  }
  const wanted = triple(padOrCrop) ?? onlyShape(scanned, shapes);
  const shape = perAxis([wanted], ([side = 1]) => up(side));
  if (shape.join() === wanted.join()) {
    return { shape, fit: padOrCrop === null ? "resize" : "pad-or-crop", notes: [] };
  }
  const before = padOrCrop === null ? "volumes" : "--pad-or-crop";
  const note =
    `${before} of ${wanted.join(" x ")} ${padOrCrop === null ? "are padded" : "is rounded up"} to ${shape.join(" x ")}, ` +
    `as sides must be multiples of ${divisor}; --divisor says of what`;
  return { shape, fit: "pad-or-crop", notes: [note] };
}

/** The one shape of all volumes. */
function onlyShape(scanned: readonly Scanned[], shapes: readonly Numbers3[]): Numbers3 {
  const [first = [1, 1, 1]] = shapes;
  const other = shapes.findIndex((shape) => shape.join() !== first.join());
  if (other < 0) return first;
  throw new DistmisError(
    "DATA_INVALID",
    `volumes differ in shape: ${scanned[0]?.image.path} is ${first.join(" x ")}, ` +
      `${scanned[other]?.image.path} is ${shapes[other]?.join(" x ")}; ` +
      "give one shape for all: --reshape X,Y,Z resizes, --reshape auto to the median, --pad-or-crop X,Y,Z pads and crops, " +
      "--pad-or-crop auto pads to the largest",
  );
}

function triple(value: readonly number[] | string | null): Numbers3 | null {
  if (value === null || typeof value === "string") return null;
  const [x = 1, y = 1, z = 1] = value;
  return [x, y, z];
}

/** One number for each axis from those of all volumes. */
export function perAxis(values: readonly Numbers3[], choose: (values: number[]) => number): Numbers3 {
  const axis = (index: 0 | 1 | 2): number => choose(values.map((each) => each[index]));
  return [axis(0), axis(1), axis(2)];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 1) + (sorted[Math.floor(middle)] ?? 1)) / 2;
}
