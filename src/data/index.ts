/** Volumes in and out: NIfTI, MSD data sets, preprocessing, TFRecords, phantoms. Pure TypeScript, no TensorFlow. */
export type { Affine } from "./affine.ts";
export { type DatasetInfo, type OwnInfo, readInfo, type SampleInfo } from "./info.ts";
export { type MsdDataset, type Pair, readMsdDataset } from "./msd.ts";
export { type NiftiHeader, type NiftiImage, readNifti, readNiftiHeader } from "./nifti.ts";
export { listNifti, niftiStem } from "./nifti-name.ts";
export { type NiftiVolume, writeNifti } from "./nifti-write.ts";
export { outputsOf } from "./outputs.ts";
export { makePhantom, type PhantomOptions, type PhantomResult } from "./phantom.ts";
export {
  checkPair,
  type PreprocessedImage,
  type PreprocessedLabel,
  preprocessImage,
  preprocessLabel,
} from "./preprocess.ts";
export { readSplit, type Volume } from "./read-split.ts";
export { classValues, type LabelMode, type Preprocessing, preprocessingSchema } from "./recipe.ts";
export { restoreClasses, restoreLabel, restoreProbabilities } from "./restore.ts";
export { DEFAULT_SPLIT, type Fold, SPLITS, type Split, type SplitRatios } from "./split.ts";
export { channelsLast } from "./transpose.ts";
export type { Reshape } from "./write-plan.ts";
export {
  type WriteProgress,
  type WriteTfrecordsOptions,
  type WriteTfrecordsResult,
  writeTfrecords,
} from "./write-tfrecords.ts";
