/**
 * TFRecord files: records of [uint64 length][masked CRC32C of the length][data][masked CRC32C of the data], little-endian.
 * Source: https://www.tensorflow.org/tutorials/load_data/tfrecord.
 */
import { crc32c } from "@node-rs/crc32";

export const HEAD_BYTES = 12;
export const TAIL_BYTES = 4;

/** TensorFlow masks checksums so that a CRC over data that holds CRCs stays meaningful. */
export function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** What stands before `length` bytes of data. */
export function headOf(length: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeBigUInt64LE(BigInt(length), 0);
  head.writeUInt32LE(mask(crc32c(head.subarray(0, 8))), 8);
  return head;
}

/** What stands behind the data, the concatenation of `pieces`. */
export function tailOf(pieces: readonly Uint8Array[]): Buffer {
  const tail = Buffer.alloc(TAIL_BYTES);
  tail.writeUInt32LE(mask(pieces.reduce((crc, piece) => crc32c(piece, crc), 0)), 0);
  return tail;
}
