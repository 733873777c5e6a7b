/** How well a segmentation agrees with the truth. */
export { writeEvaluationCsv } from "./csv.ts";
export {
  type CaseScores,
  type EvaluateOptions,
  type EvaluationResult,
  evaluateFolders,
  type ScoreTable,
} from "./evaluate-folders.ts";
export { meanOf, type OverlapCounts, type OverlapScores, overlapCounts, overlapScores } from "./overlap.ts";
export { SCORES, type Scores } from "./scores.ts";
export { hausdorff95 } from "./surface.ts";
