/** What networks are fed: preprocessing and its inverse, TFRecords and their info.json. */
export { parseAxisCodes } from "./axis-codes.ts";
export {
  channelsOf,
  checkPair,
  type Geometry,
  shapeBeforeFit,
  splitShape,
  type Volumetric,
  writtenSpacing,
} from "./geometry.ts";
export {
  type DatasetInfo,
  INFO_FILE,
  type OwnInfo,
  readInfo,
  readInfoIfAny,
  type SampleInfo,
  type SourceFile,
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
export { readSplit, type Volume } from "./read-split.ts";
export {
  classValues,
  DISTMIS_CUT,
  type LabelMode,
  type Preprocessing,
  preprocessingSchema,
  shapeAfterCut,
} from "./recipe.ts";
export type { Shape3 } from "./resize.ts";
export { type Restored, restoreProbabilities, restoreSegmentation } from "./restore.ts";
export {
  assignSplits,
  DEFAULT_SPLIT,
  type Fold,
  MOST_SHARDS,
  SPLITS,
  type Split,
  type SplitRatios,
  shardFile,
  shardOf,
} from "./split.ts";
export { decodeExample, encodeExample, type Tensor } from "./tensor-example.ts";
export { createTfrecord } from "./tfrecord.ts";
