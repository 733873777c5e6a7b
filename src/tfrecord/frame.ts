/**
 * TFRecord files: records of [uint64 length][masked CRC32C of the length][data][masked CRC32C of the data], little-endian.
 * Source: https://www.tensorflow.org/tutorials/load_data/tfrecord.
 */

export const HEAD_BYTES = 12;
export const TAIL_BYTES = 4;

/** TensorFlow masks checksums so that a CRC over data that holds CRCs stays meaningful. */
export function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
