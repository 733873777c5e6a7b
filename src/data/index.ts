/** What networks are fed: preprocessing and its inverse, and a data set's info.json. */
export { parseAxisCodes } from "./axis-codes.ts";
export {
  channelsOf,
  checkPair,
  type Geometry,
  shapeBeforeFit,
  splitShape,
  turnedSpacing,
  type Volumetric,
  writtenSpacing,
} from "./geometry.ts";
export { gridAffine } from "./grid-affine.ts";
export {
  type DatasetInfo,
  INFO_FILE,
  type OwnInfo,
  type PrepareOptions,
  readInfo,
  readInfoIfAny,
  type SampleInfo,
  type SkippedPair,
  type SourceFile,
  sampleSchema,
  skippedSchema,
} from "./info.ts";
export { outputsOf } from "./outputs.ts";
export {
  imageOnGrid,
  labelOnGrid,
  type PreprocessedImage,
  type PreprocessedLabel,
  preprocessImage,
  preprocessLabel,
} from "./preprocess.ts";
export {
  classValues,
  DISTMIS_CUT,
  type LabelMode,
  type Preprocessing,
  preprocessingSchema,
} from "./recipe.ts";
export type { Shape3 } from "./resize.ts";
export { type Restored, restoreProbabilities, restoreSegmentation } from "./restore.ts";
export {
  assignSplits,
  checkSplits,
  DEFAULT_SPLIT,
  type Fold,
  isShardFile,
  MOST_SHARDS,
  SPLITS,
  type Split,
  type SplitRatios,
  shardFile,
  shardOf,
  shuffled,
} from "./split.ts";
export { moveFirstAxisFirst } from "./transpose.ts";
export type { Volume } from "./volume.ts";
