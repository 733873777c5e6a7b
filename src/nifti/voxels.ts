import { DistmisError } from "../errors/index.ts";
import type { Datatype, NiftiLayout } from "./layout.ts";

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
 * Stored bytes to values. `bytes` must start its own ArrayBuffer; it is consumed: bytes are swapped in place and, for
 * unscaled floats, become the result.
 */
export function decodeVoxels(path: string, bytes: Uint8Array, layout: NiftiLayout): VoxelArray {
  if (!layout.littleEndian) swap(Buffer.from(bytes.buffer, 0, bytes.byteLength), layout.bytesPerVoxel);
  const { scaling, datatype } = layout;
  const stored = datatype === "int64" || datatype === "uint64" ? wide(path, bytes, datatype) : narrow(bytes, datatype);
  if (scaling === null) {
    if (stored instanceof Float32Array || stored instanceof Float64Array) return stored;
    // Whole numbers up to 16 bits are exact in float32, longer ones in float64.
    return stored.BYTES_PER_ELEMENT <= 2 ? new Float32Array(stored) : new Float64Array(stored);
  }
  const { slope, inter } = scaling;
  const values = new Float64Array(stored.length);
  for (let index = 0; index < values.length; index++) values[index] = (stored[index] ?? 0) * slope + inter;
  return values;
}

function narrow(bytes: Uint8Array, datatype: Exclude<Datatype, "int64" | "uint64">): Stored {
  const buffer = bytes.buffer;
  switch (datatype) {
    case "uint8":
      return bytes;
    case "int8":
      return new Int8Array(buffer);
    case "uint16":
      return new Uint16Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
  }
}

function wide(path: string, bytes: Uint8Array, datatype: "int64" | "uint64"): Float64Array {
  const stored = datatype === "int64" ? new BigInt64Array(bytes.buffer) : new BigUint64Array(bytes.buffer);
  const values = new Float64Array(stored.length);
  for (let index = 0; index < values.length; index++) {
    const value = Number(stored[index]);
    if (!Number.isSafeInteger(value)) {
      throw new DistmisError(
        "DATA_INVALID",
        `${path}: voxel ${index} is ${stored[index]}, beyond the 53 bits that ${datatype} voxels may use here`,
      );
    }
    values[index] = value;
  }
  return values;
}

function swap(bytes: Buffer, size: number): void {
  if (size === 2) bytes.swap16();
  else if (size === 4) bytes.swap32();
  else if (size === 8) bytes.swap64();
}
