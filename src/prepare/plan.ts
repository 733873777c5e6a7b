import { join } from "node:path";
import {
  assignSplits,
  checkPair,
  DISTMIS_CUT,
  type Fold,
  type LabelMode,
  MOST_SHARDS,
  type Preprocessing,
  SPLITS,
  type Split,
  type SplitRatios,
  shapeAfterCut,
  shardOf,
  splitShape,
} from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { readNiftiHeader } from "../nifti/index.ts";
import type { MsdDataset, Pair } from "./msd.ts";

/** X, Y, Z that all volumes are resized to; `auto` is the median shape, rounded; null keeps the stored shape. */
export type Reshape = readonly [number, number, number] | "auto" | null;

/** Which samples go into which file. */
export interface Shard {
  split: Split;
  shard: number;
  pairs: Pair[];
}

/** Cuts the list of pairs into splits and files. */
export function planShards(
  pairs: readonly Pair[],
  ratios: SplitRatios,
  fold: Fold | null,
): { shards: Shard[]; counts: Record<Split, number>; notes: string[] } {
  const { members, notes } = assignSplits(pairs, ratios, fold);
  const shards: Shard[] = [];
  for (const split of SPLITS) {
    const number = Math.min(members[split].length, MOST_SHARDS[split]);
    for (let shard = 0; shard < number; shard++) {
      shards.push({ split, shard, pairs: members[split].filter((_, index) => shardOf(index, number) === shard) });
    }
  }
  const counts = { train: members.train.length, valid: members.valid.length, test: members.test.length };
  return { shards, counts, notes };
}

const SCANS_AT_ONCE = 8;
/** Predictions are written as uint16 at most. */
const LARGEST_CLASS = 65535;

/**
 * Reads the headers of all volumes, so that a bad pair shows before an hour of work. Returns X, Y, Z of each pair.
 * Errors: as readNiftiHeader; DATA_INVALID naming both files if image and label lie on different grids.
 */
export async function scanShapes(dataset: MsdDataset, onPair: () => void): Promise<[number, number, number][]> {
  const shapes: [number, number, number][] = [];
  const { dir, pairs, modalities } = dataset;
  let next = 0;
  const scan = async (): Promise<void> => {
    for (let index = next++; index < pairs.length; index = next++) {
      const pair = pairs[index];
      if (pair === undefined) return;
      const image = await readNiftiHeader(join(dir, pair.image));
      checkPair(image, await readNiftiHeader(join(dir, pair.label)));
      const { spatial, channels } = splitShape(image);
      if (channels !== modalities.length) {
        throw new DistmisError(
          "DATA_INVALID",
          `${image.path}: has ${channels} channels (shape ${image.shape.join(" x ")}), but dataset.json names ${modalities.length} modalities: ${modalities.join(", ")}`,
        );
      }
      shapes[index] = spatial;
      onPair();
    }
  };
  await Promise.all(Array.from({ length: SCANS_AT_ONCE }, scan));
  return shapes;
}

/**
 * The recipe for a data set. Errors: DATA_INVALID naming two files if shapes differ and no reshape is asked for; USAGE for an
 * illegal reshape; DATA_INVALID for a class that no segmentation could hold.
 */
export function planRecipe(
  dataset: MsdDataset,
  shapes: readonly [number, number, number][],
  reshape: Reshape,
  divisor: number,
  mode: LabelMode,
): Preprocessing {
  const largest = Math.max(...dataset.classes.keys());
  if (mode === "multiclass" && largest > LARGEST_CLASS) {
    throw new DistmisError(
      "DATA_INVALID",
      `${join(dataset.dir, "dataset.json")}: field "labels": class ${largest}, but a segmentation can hold values up to ${LARGEST_CLASS}`,
    );
  }
  const cut = { ...DISTMIS_CUT };
  const cutShapes = shapes.map((shape) => shapeAfterCut(shape, cut));
  return {
    version: 1,
    modalities: dataset.modalities,
    channels: null,
    orientation: null,
    cut,
    spacing: null,
    shape: targetShape(dataset, shapes, cutShapes, reshape, divisor),
    fit: "resize",
    resize: "tf-half-pixel",
    standardisation: "per-modality",
    repair: { nonfinite: "refuse", labels: "refuse" },
    labels: {
      mode,
      classes: Object.fromEntries([...dataset.classes].map(([value, name]) => [String(value), name])),
    },
  };
}

function targetShape(
  dataset: MsdDataset,
  shapes: readonly [number, number, number][],
  cutShapes: readonly [number, number, number][],
  reshape: Reshape,
  divisor: number,
): [number, number, number] {
  if (reshape === "auto") {
    const side = (axis: 0 | 1 | 2): number => nearestMultiple(median(cutShapes.map((shape) => shape[axis])), divisor);
    return [side(0), side(1), side(2)];
  }
  if (reshape !== null) return [reshape[0], reshape[1], reshape[2]];
  const [first = [1, 1, 1]] = cutShapes;
  const other = cutShapes.findIndex((shape) => shape.join() !== first.join());
  if (other >= 0) {
    throw new DistmisError(
      "DATA_INVALID",
      `volumes differ in shape: ${join(dataset.dir, dataset.pairs[0]?.image ?? "")} is ${shapes[0]?.join(" x ")}, ` +
        `${join(dataset.dir, dataset.pairs[other]?.image ?? "")} is ${shapes[other]?.join(" x ")}; ` +
        "give one shape for all with --reshape X,Y,Z, or --reshape auto for the median",
    );
  }
  return first;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 1) + (sorted[Math.floor(middle)] ?? 1)) / 2;
}

function nearestMultiple(value: number, divisor: number): number {
  return Math.max(1, Math.round(value / divisor)) * divisor;
}
