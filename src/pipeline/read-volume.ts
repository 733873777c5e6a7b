/** One record to one volume. */
import { DistmisError, messageOf } from "../errors/index.ts";
import {
  channelsLast,
  floatsOf,
  type RecordPlace,
  readRecord,
  TAIL_BYTES,
  type TensorBytes,
  tensorsIn,
} from "../tfrecord/index.ts";
import type { VolumeArrays, VolumeShape } from "./arrays.ts";

export interface RecordReader {
  /**
   * Reads a volume into arrays of that shape.
   * Errors: FILE_UNUSABLE; DATA_INVALID naming file and byte offset if the record is damaged, is no sample of DistMIS, or has
   * another shape.
   */
  read(place: RecordPlace, shape: VolumeShape, into: VolumeArrays): void;
  /** The shape of a record's volume; reads all of it. Errors: as above. */
  shapeOf(place: RecordPlace): VolumeShape;
}

export function refusal({ path, offset }: RecordPlace, what: string): DistmisError {
  return new DistmisError("DATA_INVALID", `${path}: record at byte ${offset}: ${what}`);
}

/** Keeps the memory that records are read into: pages of fresh memory take longer than reading. */
export function recordReader(): RecordReader {
  let room = new Uint8Array();
  // The image of the last record lay so far behind a multiple of 4; that of the next one will, too.
  let odd = 0;

  function sample(place: RecordPlace): { img: TensorBytes; label: TensorBytes } {
    const needed = 4 + place.length + TAIL_BYTES;
    if (room.length < needed) room = new Uint8Array(needed);
    const start = (4 - odd) % 4;
    readRecord(place, room.subarray(start));
    try {
      const tensors = tensorsIn(room.subarray(start, start + place.length), ["img", "label"]);
      odd = (tensors.img.content.byteOffset - start) % 4;
      return tensors;
    } catch (error) {
      throw refusal(place, `not a sample of DistMIS: ${messageOf(error)}`);
    }
  }

  return {
    read(place, [x, y, z, channels], into) {
      const { img, label } = sample(place);
      const found = [img.shape.join(" x "), label.shape.join(" x ")];
      const expected = [`${channels} x ${x} x ${y} x ${z}`, `1 x ${x} x ${y} x ${z}`];
      if (found.join() !== expected.join()) {
        throw refusal(place, `shapes ${found.join(" and ")}, expected ${expected.join(" and ")}`);
      }
      const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
        new Uint8Array(buffer, byteOffset, byteLength);
      bytes(into.labels).set(label.content);
      if (channels === 1) bytes(into.images).set(img.content);
      else channelsLast(floatsOf(img), channels, into.images);
    },
    shapeOf(place) {
      const { img, label } = sample(place);
      const [channels = 0, x = 0, y = 0, z = 0] = img.shape;
      if (img.shape.length !== 4 || label.shape.join() !== [1, x, y, z].join()) {
        throw refusal(
          place,
          `image ${img.shape.join(" x ")} and label ${label.shape.join(" x ")}, expected C x X x Y x Z and 1 x X x Y x Z`,
        );
      }
      return [x, y, z, channels];
    },
  };
}
