import { join } from "node:path";
import { type DatasetInfo, SPLITS, type Split, shardFile } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { type RecordPlace, readRecord, scanTfrecord, TAIL_BYTES } from "../tfrecord/index.ts";

export interface SampleRecord {
  split: Split;
  /** Position in the split, from 0. */
  index: number;
  /** For messages: the file, and where in it the record begins. */
  place: string;
  /** The bytes of a tf.train.Example, their checksum verified. */
  data: Uint8Array;
}

/**
 * One sample of a data set, counted over train, valid and test in this order, or within one split. The records before it are stepped
 * over by their lengths.
 * Errors: USAGE naming the range; FILE_UNUSABLE; DATA_INVALID naming file and byte for a damaged record, or if a split holds fewer
 * samples than info.json says.
 */
export async function recordAt(
  dir: string,
  info: DatasetInfo,
  sample: number,
  only: Split | undefined,
): Promise<SampleRecord> {
  const splits: readonly Split[] = only === undefined ? SPLITS : [only];
  const size = splits.reduce((total, split) => total + info[`${split}_size`], 0);
  if (!Number.isInteger(sample) || sample < 0 || sample >= size) {
    const what = only === undefined ? dir : `the ${only} split of ${dir}`;
    const range = size === 0 ? "holds no samples" : `holds ${size} samples, expected a number from 0 to ${size - 1}`;
    throw new DistmisError("USAGE", `--sample ${sample}: ${what} ${range}`);
  }
  let index = sample;
  for (const split of splits) {
    if (index >= info[`${split}_size`]) {
      index -= info[`${split}_size`];
      continue;
    }
    let left = index;
    for (let shard = 0; shard < info[`${split}_shard`]; shard++) {
      const records = await scanTfrecord(join(dir, shardFile(split, shard)));
      const found = records[left];
      if (found !== undefined) return { split, index, ...dataOf(found) };
      left -= records.length;
    }
    throw new DistmisError(
      "DATA_INVALID",
      `${dir}: the ${split} split holds ${index - left} samples, but info.json says ${info[`${split}_size`]}; write the data set again`,
    );
  }
  throw new Error("a sample within the sum of the splits lies in one of them");
}

function dataOf(found: RecordPlace): { place: string; data: Uint8Array } {
  const room = new Uint8Array(found.length + TAIL_BYTES);
  readRecord(found, room);
  return { place: `${found.path}: record at byte ${found.offset}`, data: room.subarray(0, found.length) };
}
