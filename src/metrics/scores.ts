/** All that is measured of one class, and means of it. The names are those of the JSON and CSV files. */
import { meanOf, type OverlapCounts, type OverlapScores, overlapScores } from "./overlap.ts";

/** Null: not defined for these masks, see docs/data-formats.md. */
export interface Scores {
  dice: number | null;
  iou: number | null;
  sensitivity: number | null;
  precision: number | null;
  /** Predicted minus true volume in millilitres. */
  volume_difference_ml: number | null;
  hd95_mm: number | null;
}

export const SCORES = ["dice", "iou", "sensitivity", "precision", "volume_difference_ml", "hd95_mm"] as const;

const CUBIC_MM_PER_ML = 1000;

/**
 * @param voxelVolume mm³
 * @param hd95 mm
 */
export function classScores(counts: OverlapCounts, voxelVolume: number, hd95: number | null): Scores {
  const overlap: OverlapScores = overlapScores(counts);
  const difference = ((counts.predicted - counts.truth) * voxelVolume) / CUBIC_MM_PER_ML;
  return { ...overlap, volume_difference_ml: difference, hd95_mm: hd95 };
}

/** Of each score, the mean of those that are defined. */
export function meanScores(all: readonly Scores[]): Scores {
  const mean = (name: keyof Scores): number | null => meanOf(all.map((scores) => scores[name]));
  return {
    dice: mean("dice"),
    iou: mean("iou"),
    sensitivity: mean("sensitivity"),
    precision: mean("precision"),
    volume_difference_ml: mean("volume_difference_ml"),
    hd95_mm: mean("hd95_mm"),
  };
}
