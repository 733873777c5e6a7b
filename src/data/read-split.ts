import { join } from "node:path";
import { DistmisError, messageOf } from "../errors/index.ts";
import { readInfo } from "./info.ts";
import { type Split, shardFile } from "./split.ts";
import { decodeExample, type Tensor } from "./tensor-example.ts";
import { readTfrecord } from "./tfrecord.ts";
import { channelsLast } from "./transpose.ts";

/** One sample, as the network takes it. */
export interface Volume {
  /** (X, Y, Z, C), C running fastest. */
  image: Float32Array;
  /** (X, Y, Z, 1); 0 or 1, or the class's place from 0 (info.json's `distmis.preprocessing.labels.mode`). */
  label: Float32Array;
  /** [X, Y, Z, C] */
  imageShape: [number, number, number, number];
  /** Position in the split, from 0; with info.json's `distmis.samples` it tells which files the sample comes from. */
  index: number;
}

/**
 * Reads one split, file by file in the order of their numbers: always the same order. One volume at a time is in memory.
 *
 * Errors: FILE_UNUSABLE if info.json or a file is missing; DATA_INVALID naming file and byte offset if a record is damaged,
 * is no sample of DistMIS, has another shape than the first, or if there are more or fewer than info.json says.
 */
export async function* readSplit(
  dir: string,
  split: Split,
  options: { signal?: AbortSignal } = {},
): AsyncGenerator<Volume, void, undefined> {
  const info = await readInfo(dir);
  const [size, shards] = [info[`${split}_size`], info[`${split}_shard`]];
  const own = info.distmis;
  let expected: { image: string; label: string } | null =
    own === undefined ? null : { image: own.image_shape.join(" x "), label: own.label_shape.join(" x ") };
  let index = 0;
  for (let shard = 0; shard < shards; shard++) {
    const path = join(dir, shardFile(split, shard));
    for await (const { data, offset } of readTfrecord(path)) {
      options.signal?.throwIfAborted();
      const refuse = (what: string): DistmisError =>
        new DistmisError("DATA_INVALID", `${path}: record at byte ${offset}: ${what}`);
      let tensors: { img: Tensor; label: Tensor };
      try {
        tensors = decodeExample(data, ["img", "label"]);
      } catch (error) {
        throw refuse(`not a sample of DistMIS: ${messageOf(error)}`);
      }
      const found = { image: tensors.img.shape.join(" x "), label: tensors.label.shape.join(" x ") };
      expected ??= found;
      if (found.image !== expected.image || found.label !== expected.label) {
        throw refuse(`shapes ${found.image} and ${found.label}, expected ${expected.image} and ${expected.label}`);
      }
      yield toVolume(tensors.img, tensors.label, index++, refuse);
    }
  }
  if (index !== size) {
    throw new DistmisError(
      "DATA_INVALID",
      `${dir}: the ${split} split holds ${index} samples, but info.json says ${size}; write the data set again`,
    );
  }
}

function toVolume(img: Tensor, label: Tensor, index: number, refuse: (what: string) => DistmisError): Volume {
  const [channels = 0, x = 0, y = 0, z = 0] = img.shape;
  if (img.shape.length !== 4 || label.shape.join() !== [1, x, y, z].join()) {
    throw refuse(
      `image ${img.shape.join(" x ")} and label ${label.shape.join(" x ")}, expected C x X x Y x Z and 1 x X x Y x Z`,
    );
  }
  return { image: channelsLast(img.data, channels), label: label.data, imageShape: [x, y, z, channels], index };
}
