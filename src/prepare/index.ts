/** From a data set in the layout of the Medical Segmentation Decathlon to TFRecords. */
export { type MsdDataset, type Pair, readMsdDataset } from "./msd.ts";
export type { Reshape } from "./plan.ts";
export {
  type WriteProgress,
  type WriteTfrecordsOptions,
  type WriteTfrecordsResult,
  writeTfrecords,
} from "./write-tfrecords.ts";
