/**
 * The part of a NIfTI header that decides how many bytes are read from where. It is checked here, before anything is
 * allocated and before nifti-reader-js sees a byte: that library believes every header (it hangs on a negative extension
 * size, returns short buffers, and misreads 64-bit integers in some byte orders).
 * Sources: nifti1.h and nifti2.h of https://nifti.nimh.nih.gov.
 */
import { DistmisError } from "../errors/index.ts";

export type Datatype =
  | "uint8"
  | "int8"
  | "uint16"
  | "int16"
  | "uint32"
  | "int32"
  | "uint64"
  | "int64"
  | "float32"
  | "float64";

const DATATYPES: ReadonlyMap<number, { name: Datatype; bytes: number }> = new Map([
  [2, { name: "uint8", bytes: 1 }],
  [256, { name: "int8", bytes: 1 }],
  [512, { name: "uint16", bytes: 2 }],
  [4, { name: "int16", bytes: 2 }],
  [768, { name: "uint32", bytes: 4 }],
  [8, { name: "int32", bytes: 4 }],
  [1280, { name: "uint64", bytes: 8 }],
  [1024, { name: "int64", bytes: 8 }],
  [16, { name: "float32", bytes: 4 }],
  [64, { name: "float64", bytes: 8 }],
]);

const WIDEST_VOXEL = 8;

const REFUSED_DATATYPES: ReadonlyMap<number, string> = new Map([
  [1, "1-bit binary"],
  [32, "complex64"],
  [128, "RGB24"],
  [1536, "float128"],
  [1792, "complex128"],
  [2048, "complex256"],
  [2304, "RGBA32"],
]);

export interface NiftiLayout {
  version: 1 | 2;
  littleEndian: boolean;
  /** True if header and voxels lie in two files (magic ni1 or ni2). */
  pair: boolean;
  /** dim[1..dim[0]]; x runs fastest in the file. */
  shape: number[];
  voxels: number;
  datatype: Datatype;
  bytesPerVoxel: number;
  /** Where the voxels begin in their file. */
  voxelOffset: number;
  /** Size of the fixed header: 348 or 540 bytes. */
  headerBytes: number;
  /** Null if the stored numbers are the values (slope 0, NaN or infinite, or the identity). */
  scaling: { slope: number; inter: number } | null;
}

/** Bytes that {@link parseLayout} wants to see of a file: the longer of both headers. */
export const HEADER_BYTES = 540;

/** Analyze 7.5 has an intensity where NIfTI-1 has its magic: mostly 0, not always. */
const ANALYZE_NAME = /\.hdr(\.gz)?$/i;

/** Checks the first bytes of a file (fewer than {@link HEADER_BYTES} if it is shorter). Errors: DATA_INVALID naming `path`. */
export function parseLayout(path: string, bytes: Buffer): NiftiLayout {
  const refuse = (what: string): DistmisError => new DistmisError("DATA_INVALID", `${path}: ${what}`);
  if (bytes.length < 348) {
    throw refuse(`not a NIfTI file: it holds ${bytes.length} bytes, a header alone takes 348`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { version, littleEndian } = identify(view, refuse);
  const headerBytes = version === 1 ? 348 : 540;
  if (bytes.length < headerBytes) throw refuse(`the NIfTI-2 header is cut off after ${bytes.length} bytes`);

  const magic = bytes.toString("latin1", version === 1 ? 344 : 4, version === 1 ? 348 : 8);
  const known = version === 1 ? ["n+1\0", "ni1\0"] : ["n+2\0", "ni2\0"];
  if (!known.includes(magic)) {
    const shown = (text: string): string => JSON.stringify(text.replace(/\0+$/, ""));
    throw refuse(
      version === 1 && (magic === "\0\0\0\0" || ANALYZE_NAME.test(path))
        ? "an Analyze 7.5 header, which has no orientation; convert it to NIfTI"
        : `not a NIfTI file: magic is ${shown(magic)}, expected ${known.map(shown).join(" or ")}`,
    );
  }
  const pair = magic.startsWith("ni");

  const intent = version === 1 ? view.getInt16(68, littleEndian) : view.getInt32(504, littleEndian);
  if (version === 2 && intent >= 3000 && intent < 3100) throw refuse("a CIFTI-2 file (surfaces), not a volume");

  const long = (at: number): number => Number(view.getBigInt64(at, littleEndian));
  const dim = (index: number): number =>
    version === 1 ? view.getInt16(40 + 2 * index, littleEndian) : long(16 + 8 * index);
  const rank = dim(0);
  if (!(rank >= 1 && rank <= 7)) throw refuse(`dim[0] is ${rank}, expected 1 to 7 dimensions`);
  const shape = Array.from({ length: rank }, (_, index) => dim(index + 1));
  const bad = shape.findIndex((size) => !(size >= 1));
  if (bad >= 0) throw refuse(`dim[${bad + 1}] is ${shape[bad]}, expected at least 1`);
  const voxels = shape.reduce((product, size) => product * size, 1);
  if (!(voxels * WIDEST_VOXEL <= Number.MAX_SAFE_INTEGER))
    throw refuse(`the header claims ${shape.join(" x ")} voxels, more than any file can hold`);

  const code = view.getInt16(version === 1 ? 70 : 12, littleEndian);
  const bits = view.getInt16(version === 1 ? 72 : 14, littleEndian);
  const refusedName = REFUSED_DATATYPES.get(code);
  if (refusedName !== undefined)
    throw refuse(`voxels of type ${refusedName} are not supported; store one real number a voxel`);
  const type = DATATYPES.get(code);
  if (type === undefined) throw refuse(`unknown datatype code ${code}`);
  if (bits !== type.bytes * 8) throw refuse(`bitpix is ${bits}, but datatype ${type.name} has ${type.bytes * 8} bits`);

  return {
    version,
    littleEndian,
    pair,
    shape,
    voxels,
    datatype: type.name,
    bytesPerVoxel: type.bytes,
    voxelOffset: voxelOffset(
      version === 1 ? view.getFloat32(108, littleEndian) : long(168),
      pair,
      headerBytes + 4,
      refuse,
    ),
    headerBytes,
    scaling:
      version === 1
        ? scaling(view.getFloat32(112, littleEndian), view.getFloat32(116, littleEndian), refuse)
        : scaling(view.getFloat64(176, littleEndian), view.getFloat64(184, littleEndian), refuse),
  };
}

function identify(view: DataView, refuse: (what: string) => DistmisError): { version: 1 | 2; littleEndian: boolean } {
  for (const littleEndian of [true, false]) {
    const size = view.getInt32(0, littleEndian);
    if (size === 348) return { version: 1, littleEndian };
    if (size === 540) return { version: 2, littleEndian };
  }
  throw refuse(`not a NIfTI file: sizeof_hdr is ${view.getInt32(0, true)}, expected 348 or 540`);
}

function voxelOffset(offset: number, pair: boolean, least: number, refuse: (what: string) => DistmisError): number {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw refuse(`vox_offset is ${offset}, expected a whole number of bytes`);
  if (pair) return offset;
  // Some writers leave 0 in single files; taken literally, the header itself would be read as voxels.
  if (offset === 0) return least;
  if (offset < least) throw refuse(`vox_offset is ${offset}, but the header of a single file takes ${least} bytes`);
  return offset;
}

function scaling(slope: number, inter: number, refuse: (what: string) => DistmisError): NiftiLayout["scaling"] {
  if (slope === 0 || !Number.isFinite(slope)) return null;
  if (!Number.isFinite(inter)) throw refuse(`scl_inter is ${inter} beside a scl_slope of ${slope}, expected a number`);
  return slope === 1 && inter === 0 ? null : { slope, inter };
}
