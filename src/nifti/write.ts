import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { DistmisError } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import { type Affine, columnLengths, type StoredGrid } from "./affine.ts";

export interface NiftiVolume {
  /** x running fastest; the type of the array is the type in the file. */
  data: Uint8Array | Int16Array | Uint16Array | Float32Array;
  /** X, Y, Z and at most four more sizes. */
  shape: readonly number[];
  /**
   * Voxel indices to world coordinates in mm; spacing follows from it. Or what another file's header has of it, taken over as it is,
   * for a volume on that file's grid.
   */
  affine: Affine | StoredGrid;
  /** At most 79 ASCII characters. */
  description?: string;
}

const HEADER_BYTES = 352;
const compress = promisify(gzip);

/** What {@link writeNifti} writes, compressed: a whole .nii.gz file. @param name for errors */
export function encodeNifti(name: string, volume: NiftiVolume): Promise<Buffer> {
  return compress(bytesOf(name, volume));
}

/**
 * Writes a little-endian NIfTI-1 file, gzipped if `path` ends with .gz, atomically. An affine goes into the sform and, where
 * it is made of rotation and spacing alone, into the qform as well. The same volume always gives the same bytes.
 *
 * Errors: FILE_UNUSABLE if it can't be written; DATA_INVALID if sizes disagree or exceed what NIfTI-1 can say.
 */
export async function writeNifti(path: string, volume: NiftiVolume): Promise<void> {
  const bytes = bytesOf(path, volume);
  await replaceFile(path, [path.endsWith(".gz") ? await compress(bytes) : bytes]);
}

function bytesOf(path: string, volume: NiftiVolume): Buffer {
  const { data, shape } = volume;
  const voxels = shape.reduce((product, size) => product * size, 1);
  const legal =
    shape.length >= 1 &&
    shape.length <= 7 &&
    shape.every((size) => Number.isInteger(size) && size >= 1 && size <= 32767);
  if (!legal || voxels !== data.length) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: ${data.length} voxels can't be written as a NIfTI-1 volume of ${shape.join(" x ")}`,
    );
  }
  const bytes = Buffer.alloc(HEADER_BYTES + data.byteLength);
  writeHeader(bytes, volume);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), HEADER_BYTES);
  return bytes;
}

function writeHeader(bytes: Buffer, { data, shape, affine, description }: NiftiVolume): void {
  const [code, bits] = datatypeOf(data);
  const grid = Array.isArray(affine) ? gridOf(affine) : affine;
  bytes.writeInt32LE(348, 0);
  for (let axis = 0; axis <= 7; axis++) {
    bytes.writeInt16LE(axis === 0 ? shape.length : (shape[axis - 1] ?? 1), 40 + 2 * axis);
    bytes.writeFloatLE(grid.pixdim[axis] ?? 1, 76 + 4 * axis);
  }
  bytes.writeInt16LE(code, 70);
  bytes.writeInt16LE(bits, 72);
  bytes.writeFloatLE(HEADER_BYTES, 108);
  bytes.writeFloatLE(1, 112);
  bytes.writeUInt8(grid.units, 123);
  bytes.write((description ?? "").slice(0, 79), 148, "latin1");
  bytes.writeInt16LE(formCode(grid.qformCode), 252);
  bytes.writeInt16LE(formCode(grid.sformCode), 254);
  for (const [index, value] of grid.qform.entries()) bytes.writeFloatLE(value, 256 + 4 * index);
  for (const [index, value] of grid.sform.entries()) bytes.writeFloatLE(value, 280 + 4 * index);
  bytes.write("n+1\0", 344, "latin1");
}

/** NIfTI-2 has 32 bits for a code; one that NIfTI-1 can't hold means "aligned to something", as 2 does. */
const formCode = (code: number): number => (Math.abs(code) <= 32767 ? code : 2);

const MILLIMETRES_AND_SECONDS = 2 | 8;

function gridOf(affine: Affine): StoredGrid {
  const spacing = columnLengths(affine);
  const qform = quaternion(affine, spacing);
  const rows = [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => affine[row]?.[column] ?? 0));
  return {
    qformCode: qform === null ? 0 : 1,
    sformCode: 1,
    units: MILLIMETRES_AND_SECONDS,
    pixdim: [qform?.qfac ?? 1, ...spacing],
    qform: qform === null ? [] : [...qform.bcd, ...rows.map((row) => row[3] ?? 0)],
    sform: rows.flat(),
  };
}

/** NIfTI's datatype code and bitpix. */
function datatypeOf(data: NiftiVolume["data"]): [number, number] {
  if (data instanceof Uint8Array) return [2, 8];
  if (data instanceof Int16Array) return [4, 16];
  return data instanceof Uint16Array ? [512, 16] : [16, 32];
}

/** Rotation of an affine as NIfTI's quaternion (its real part is implied), or null if there is shear. */
function quaternion(affine: Affine, spacing: number[]): { bcd: number[]; qfac: 1 | -1 } | null {
  const r = [0, 1, 2].map((row) => [0, 1, 2].map((column) => (affine[row]?.[column] ?? 0) / (spacing[column] || 1)));
  const at = (row: number, column: number): number => r[row]?.[column] ?? 0;
  for (const [p, q] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const) {
    const product = at(0, p) * at(0, q) + at(1, p) * at(1, q) + at(2, p) * at(2, q);
    if (!(Math.abs(product) < 1e-4)) return null;
  }
  const determinant =
    at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
    at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
    at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0));
  if (!(Math.abs(Math.abs(determinant) - 1) < 1e-3)) return null;
  const qfac = determinant < 0 ? -1 : 1;
  // A left-handed frame is a rotation with the third axis turned round.
  for (const row of r) row[2] = (row[2] ?? 0) * qfac;

  // Each diagonal sum is 4 q^2 for one component; dividing by the largest one keeps the others accurate.
  const squares = [
    1 + at(0, 0) + at(1, 1) + at(2, 2),
    1 + at(0, 0) - at(1, 1) - at(2, 2),
    1 - at(0, 0) + at(1, 1) - at(2, 2),
    1 - at(0, 0) - at(1, 1) + at(2, 2),
  ];
  const largest = squares.indexOf(Math.max(...squares));
  const twice = 2 * Math.sqrt(squares[largest] ?? 1);
  const antisymmetric = [at(2, 1) - at(1, 2), at(0, 2) - at(2, 0), at(1, 0) - at(0, 1)];
  const symmetric = (p: number, q: number): number => (at(p, q) + at(q, p)) / twice;
  if (largest === 0) return { bcd: antisymmetric.map((value) => value / twice), qfac };
  const axis = largest - 1;
  const sign = (antisymmetric[axis] ?? 0) < 0 ? -1 : 1;
  const bcd = [0, 1, 2].map((other) => sign * (other === axis ? twice / 4 : symmetric(axis, other)));
  return { bcd, qfac };
}
