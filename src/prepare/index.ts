/** From a data set in the layout of the Medical Segmentation Decathlon to TFRecords. */
export { type MsdDataset, type Pair, readMsdDataset } from "./msd.ts";
export type { Triple, WriteTfrecordsOptions } from "./options.ts";
export { type WriteProgress, type WriteTfrecordsResult, writeTfrecords } from "./write-tfrecords.ts";
