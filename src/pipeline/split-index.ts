/** Where the volumes of a split lie, so that any of them can be read by its position. */
import path from "node:path";
import { type DatasetInfo, type Split, shardFile } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { type RecordPlace, scanTfrecord } from "../tfrecord/index.ts";
import type { VolumeShape } from "./arrays.ts";
import { recordReader, refusal } from "./read-volume.ts";

export interface SplitIndex {
  readonly split: Split;
  /** By position in the split: shard by shard in the order of their numbers. */
  readonly records: readonly RecordPlace[];
  /** Of every volume. Meaningless for an empty split. */
  readonly shape: VolumeShape;
}

/**
 * Reads the heads of all records of a split.
 * Errors: FILE_UNUSABLE if a file is missing; DATA_INVALID naming file and byte offset if a record is cut off, its length is
 * damaged or it is too short for its volume, or if there are more or fewer than info.json says.
 */
export async function indexSplit(dir: string, info: DatasetInfo, split: Split): Promise<SplitIndex> {
  const records: RecordPlace[] = [];
  for (let shard = 0; shard < info[`${split}_shard`]; shard++) {
    records.push(...(await scanTfrecord(path.join(dir, shardFile(split, shard)))));
  }
  const size = info[`${split}_size`];
  if (records.length !== size) {
    throw new DistmisError(
      "DATA_INVALID",
      `${dir}: the ${split} split holds ${records.length} samples, but info.json says ${size}; write the data set again`,
    );
  }
  const shape = shapeOf(info, records);
  const [x, y, z, channels] = shape;
  const least = 4 * x * y * z * (channels + 1);
  // Before anything of that size is allocated.
  const short = records.find(({ length }) => length < least);
  if (short) {
    throw refusal(
      short,
      `${short.length} bytes, expected at least ${least} for an image of ${channels} x ${x} x ${y} x ${z} and its label`,
    );
  }
  return { split, records, shape };
}

/** As info.json says; DistMIS's own does not say it, but the first record does. */
function shapeOf({ distmis }: DatasetInfo, [first]: readonly RecordPlace[]): VolumeShape {
  if (distmis) {
    const [channels = 0, x = 0, y = 0, z = 0] = distmis.image_shape;
    return [x, y, z, channels];
  }
  return first ? recordReader().shapeOf(first) : [0, 0, 0, 0];
}
