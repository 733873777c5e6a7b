/** How well a segmentation agrees with the truth. */
export { meanOf, type OverlapCounts, type OverlapScores, overlapCounts, overlapScores } from "./overlap.ts";
