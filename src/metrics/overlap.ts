/** Voxel counts of two segmentations, and what follows from them. */

/** Of one class: voxels in the truth, in the prediction, and in both. */
export interface OverlapCounts {
  truth: number;
  predicted: number;
  common: number;
}

/**
 * Counts each of `classes` in two arrays of class values of one length. `merge`: every value above 0 counts as class 1.
 * Values that are not among the classes are background.
 */
export function overlapCounts(
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: readonly number[],
  merge = false,
): Map<number, OverlapCounts> {
  const counts = new Map(classes.map((value) => [value, { truth: 0, predicted: 0, common: 0 }]));
  for (let at = 0; at < truth.length; at++) {
    let a = truth[at] ?? 0;
    let b = predicted[at] ?? 0;
    if (a === 0 && b === 0) continue;
    if (merge) [a, b] = [a > 0 ? 1 : 0, b > 0 ? 1 : 0];
    const [inTruth, inPrediction] = [counts.get(a), counts.get(b)];
    if (inTruth) inTruth.truth++;
    if (inPrediction) inPrediction.predicted++;
    if (inTruth && a === b) inTruth.common++;
  }
  return counts;
}

/** Null where nothing is there to divide by. */
export interface OverlapScores {
  /** 2 common / (truth + predicted) */
  dice: number;
  /** common / (truth or predicted), Jaccard's index */
  iou: number;
  /** common / truth; null where only the truth is empty */
  sensitivity: number | null;
  /** common / predicted; null where only the prediction is empty */
  precision: number | null;
}

/** Two empty masks agree: everything is 1. */
export function overlapScores({ truth, predicted, common }: OverlapCounts): OverlapScores {
  if (truth + predicted === 0) return { dice: 1, iou: 1, sensitivity: 1, precision: 1 };
  return {
    dice: (2 * common) / (truth + predicted),
    iou: common / (truth + predicted - common),
    sensitivity: truth === 0 ? null : common / truth,
    precision: predicted === 0 ? null : common / predicted,
  };
}

/** Mean of what is defined; null if nothing is. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const defined = values.filter((value) => value !== null);
  return defined.length === 0 ? null : defined.reduce((sum, value) => sum + value, 0) / defined.length;
}
