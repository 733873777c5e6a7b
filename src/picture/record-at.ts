import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32c } from "@node-rs/crc32";
import { type DatasetInfo, SPLITS, type Split, shardFile } from "../data/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";

export interface SampleRecord {
  split: Split;
  /** Position in the split, from 0. */
  index: number;
  /** For messages: the file, and where in it the record begins. */
  place: string;
  /** The bytes of a tf.train.Example, their checksum verified. */
  data: Uint8Array;
}

const HEAD_BYTES = 12;
const TAIL_BYTES = 4;

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
      const found = await recordOf(join(dir, shardFile(split, shard)), left);
      if (typeof found !== "number") return { split, index, ...found };
      left -= found;
    }
    throw new DistmisError(
      "DATA_INVALID",
      `${dir}: the ${split} split holds ${index - left} samples, but info.json says ${info[`${split}_size`]}; write the data set again`,
    );
  }
  throw new Error("a sample within the sum of the splits lies in one of them");
}

/** Record `number` of a file, or how many records there are if these are fewer. */
async function recordOf(path: string, number: number): Promise<{ place: string; data: Uint8Array } | number> {
  const unusable = (error: unknown): DistmisError =>
    new DistmisError("FILE_UNUSABLE", `${path}: can't be read: ${messageOf(error)}`, { cause: error });
  const file = await open(path, "r").catch((error: unknown) => {
    throw unusable(error);
  });
  try {
    const { size } = await file.stat();
    let count = 0;
    for (let offset = 0; offset < size; count++) {
      const place = `${path}: record at byte ${offset}`;
      const head = await bytesAt(file, offset, HEAD_BYTES, place);
      verify(head.subarray(0, 8), head.readUInt32LE(8), place);
      const length = Number(head.readBigUInt64LE(0));
      const end = offset + HEAD_BYTES + length + TAIL_BYTES;
      if (end > size) throw damaged(place, "cut off");
      if (count === number) {
        const body = await bytesAt(file, offset + HEAD_BYTES, length + TAIL_BYTES, place);
        const data = body.subarray(0, length);
        verify(data, body.readUInt32LE(length), place);
        return { place, data };
      }
      offset = end;
    }
    return count;
  } finally {
    await file.close();
  }
}

async function bytesAt(file: FileHandle, position: number, length: number, place: string): Promise<Buffer> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  const { bytesRead } = await file.read(bytes, 0, length, position);
  if (bytesRead < length) throw damaged(place, "cut off");
  return bytes;
}

/** TensorFlow's masked CRC32C. */
function verify(data: Uint8Array, expected: number, place: string): void {
  const crc = crc32c(data);
  if ((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0 !== expected) throw damaged(place, "its checksum is wrong");
}

function damaged(place: string, what: string): DistmisError {
  return new DistmisError("DATA_INVALID", `${place}: ${what}; the file is damaged, write the data set again`);
}
