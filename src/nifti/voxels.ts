import type { NiftiLayout } from "./layout.ts";

export type VoxelArray = Float32Array | Float64Array;

type Stored =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/**
 * Stored bytes to values. `bytes` must start at a multiple of 8 in its ArrayBuffer; it is consumed: bytes are swapped in
 * place and, for unscaled floats, become the result.
 */
export function decodeVoxels(bytes: Uint8Array, layout: NiftiLayout): VoxelArray {
  const stored = storedNumbers(bytes, layout);
  if (layout.scaling !== null) return scale(new Float64Array(stored), layout.scaling);
  if (stored instanceof Float32Array || stored instanceof Float64Array) return stored;
  // Whole numbers up to 16 bits are exact in float32, longer ones in float64.
  return stored.BYTES_PER_ELEMENT <= 2 ? new Float32Array(stored) : new Float64Array(stored);
}

/** As {@link decodeVoxels}, but always float64, in `scratch` (at least as long) where it can't be in place. */
export function decodeFloat64(bytes: Uint8Array, layout: NiftiLayout, scratch: Float64Array): Float64Array {
  const stored = storedNumbers(bytes, layout);
  let values = scratch.subarray(0, stored.length);
  if (stored instanceof Float64Array) values = stored;
  else values.set(stored);
  return layout.scaling === null ? values : scale(values, layout.scaling);
}

/** A 1 or 0 is left out, as in nibabel: adding 0 would turn -0 into 0. */
function scale(values: Float64Array, { slope, inter }: { slope: number; inter: number }): Float64Array {
  if (slope !== 1) for (let index = 0; index < values.length; index++) values[index] = (values[index] ?? 0) * slope;
  if (inter !== 0) for (let index = 0; index < values.length; index++) values[index] = (values[index] ?? 0) + inter;
  return values;
}

function storedNumbers(bytes: Uint8Array, { datatype, littleEndian, bytesPerVoxel }: NiftiLayout): Stored {
  const { buffer, byteOffset: at } = bytes;
  if (!littleEndian) swap(Buffer.from(buffer, at, bytes.length), bytesPerVoxel);
  const length = bytes.length / bytesPerVoxel;
  switch (datatype) {
    case "uint8":
      return bytes;
    case "int8":
      return new Int8Array(buffer, at, length);
    case "uint16":
      return new Uint16Array(buffer, at, length);
    case "int16":
      return new Int16Array(buffer, at, length);
    case "uint32":
      return new Uint32Array(buffer, at, length);
    case "int32":
      return new Int32Array(buffer, at, length);
    case "float32":
      return new Float32Array(buffer, at, length);
    case "float64":
      return new Float64Array(buffer, at, length);
    case "uint64":
      return nearest(bytes, new Uint32Array(buffer, at, 2 * length));
    case "int64":
      return nearest(bytes, new Int32Array(buffer, at, 2 * length));
  }
}

/**
 * 64-bit integers to float64, in place. `halves` gives the upper half its sign. The upper half times 2^32 is exact, so that
 * the sum is rounded once, to the nearest float64, as a conversion in C (and so numpy's) is.
 */
function nearest(bytes: Uint8Array, halves: Uint32Array | Int32Array): Float64Array {
  const values = new Float64Array(bytes.buffer, bytes.byteOffset, halves.length / 2);
  for (let index = 0; index < values.length; index++) {
    const low = (halves[2 * index] ?? 0) >>> 0;
    values[index] = (halves[2 * index + 1] ?? 0) * 2 ** 32 + low;
  }
  return values;
}

function swap(bytes: Buffer, size: number): void {
  if (size === 2) bytes.swap16();
  else if (size === 4) bytes.swap32();
  else if (size === 8) bytes.swap64();
}
