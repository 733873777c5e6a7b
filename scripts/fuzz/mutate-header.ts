/** Changes to the bytes of an uncompressed NIfTI file, most of them where its header says what to read. */
import type { Random } from "../random.ts";

type Kind = "int16" | "int32" | "int64" | "float32" | "float64";
type Field = readonly [name: string, at: number, kind: Kind];

/** The fields of each version that a reader of voxels and geometry looks at. */
const FIELDS: Record<1 | 2, readonly [Field, ...Field[]]> = {
  1: [
    ["sizeof_hdr", 0, "int32"],
    ...Array.from({ length: 8 }, (_, index): Field => [`dim[${index}]`, 40 + 2 * index, "int16"]),
    ["intent_code", 68, "int16"],
    ["datatype", 70, "int16"],
    ["bitpix", 72, "int16"],
    ...Array.from({ length: 4 }, (_, index): Field => [`pixdim[${index}]`, 76 + 4 * index, "float32"]),
    ["vox_offset", 108, "float32"],
    ["scl_slope", 112, "float32"],
    ["scl_inter", 116, "float32"],
    ["qform_code", 252, "int16"],
    ["sform_code", 254, "int16"],
    ["quatern_b", 256, "float32"],
    ["srow_x[0]", 280, "float32"],
    ["srow_z[3]", 324, "float32"],
    ["magic", 344, "int32"],
    ["extension flag", 348, "int32"],
  ],
  2: [
    ["sizeof_hdr", 0, "int32"],
    ["magic", 4, "int32"],
    ["datatype", 12, "int16"],
    ["bitpix", 14, "int16"],
    ...Array.from({ length: 8 }, (_, index): Field => [`dim[${index}]`, 16 + 8 * index, "int64"]),
    ...Array.from({ length: 4 }, (_, index): Field => [`pixdim[${index}]`, 104 + 8 * index, "float64"]),
    ["vox_offset", 168, "int64"],
    ["scl_slope", 176, "float64"],
    ["scl_inter", 184, "float64"],
    ["qform_code", 344, "int32"],
    ["sform_code", 348, "int32"],
    ["quatern_b", 352, "float64"],
    ["srow_x[0]", 400, "float64"],
    ["srow_z[3]", 488, "float64"],
    ["intent_code", 504, "int32"],
    ["extension flag", 540, "int32"],
  ],
};

const DATATYPES = [
  [2, 8],
  [256, 8],
  [512, 16],
  [4, 16],
  [768, 32],
  [8, 32],
  [1280, 64],
  [1024, 64],
  [16, 32],
  [64, 64],
  [32, 64],
  [128, 24],
  [2304, 32],
] as const;

const EXTREMES: readonly [number, ...number[]] = [
  0,
  ...[1, -1, 2, 7, 8, 32767, -32768, 65535, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53, -(2 ** 53), 2 ** 63],
  ...[348, 352, 352.5, 540, 544, 1e9, 1e-45, 3.4e38, 1e308, Number.NaN, Number.POSITIVE_INFINITY],
  Number.NEGATIVE_INFINITY,
];

interface Shape {
  version: 1 | 2;
  little: boolean;
}

function shapeOf(bytes: Buffer): Shape {
  const little = bytes.length < 4 || [348, 540].includes(bytes.readInt32LE(0));
  return { version: bytes.length >= 4 && [bytes.readInt32LE(0), bytes.readInt32BE(0)].includes(540) ? 2 : 1, little };
}

/** Puts a number into a field as far as it fits there: cut to the field's range, as a cast in C may do. */
function put(bytes: Buffer, at: number, kind: Kind, value: number, little: boolean): void {
  const size = { int16: 2, int32: 4, int64: 8, float32: 4, float64: 8 }[kind];
  if (at + size > bytes.length) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (kind === "float32") view.setFloat32(at, value, little);
  else if (kind === "float64") view.setFloat64(at, value, little);
  else if (kind === "int16") view.setInt16(at, value, little);
  else if (kind === "int32") view.setInt32(at, value, little);
  else view.setBigInt64(at, Number.isFinite(value) ? BigInt(Math.trunc(value)) : -1n, little);
}

function putField(bytes: Buffer, name: string, value: number): void {
  const { version, little } = shapeOf(bytes);
  const field = FIELDS[version].find(([known]) => known === name);
  if (field !== undefined) put(bytes, field[1], field[2], value, little);
}

type Mutation = readonly [name: string, apply: (bytes: Buffer, random: Random, others: readonly Buffer[]) => Buffer];

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  [
    "field",
    (bytes, random) => {
      const { version, little } = shapeOf(bytes);
      const [, at, kind] = random.pick(FIELDS[version]);
      put(bytes, at, kind, random.chance(0.7) ? random.pick(EXTREMES) : random.below(2000), little);
      return bytes;
    },
  ],
  ["bits of the header", (bytes, random) => flipBits(bytes, random, 0, Math.min(bytes.length, 560))],
  ["bits anywhere", (bytes, random) => flipBits(bytes, random, 0, bytes.length)],
  [
    // Legal sizes and types, of which many are accepted.
    "shape and type",
    (bytes, random) => {
      const rank = 1 + random.below(7);
      putField(bytes, "dim[0]", rank);
      for (let axis = 1; axis <= rank; axis++) putField(bytes, `dim[${axis}]`, 1 + random.below(rank > 4 ? 3 : 8));
      const [code, bits] = DATATYPES[random.below(DATATYPES.length)] ?? [2, 8];
      putField(bytes, "datatype", code);
      putField(bytes, "bitpix", bits);
      return bytes;
    },
  ],
  [
    "enormous",
    (bytes, random) => {
      for (let axis = 1; axis <= 7; axis++) putField(bytes, `dim[${axis}]`, 1 + random.below(random.pick([40, 32767])));
      putField(bytes, "dim[0]", 1 + random.below(7));
      return bytes;
    },
  ],
  [
    "scaling",
    (bytes, random) => {
      putField(bytes, "scl_slope", random.pick([0, 0.5, -2, Number.NaN, random.pick(EXTREMES)]));
      putField(bytes, "scl_inter", random.pick([0, 3.5, Number.NaN, random.pick(EXTREMES)]));
      return bytes;
    },
  ],
  ["extension", insertExtensions],
  ["cut", (bytes, random) => bytes.subarray(0, random.below(random.chance(0.5) ? 600 : bytes.length + 1))],
  ["appended", (bytes, random, others) => Buffer.concat([bytes, random.pick([bytes, others[0] ?? bytes])])],
  [
    "spliced",
    (bytes, random, others) => {
      const other = others[random.below(others.length)] ?? bytes;
      const from = random.below(other.length);
      other.copy(bytes, random.below(Math.max(1, bytes.length)), from, from + 1 + random.below(400));
      return bytes;
    },
  ],
];

function flipBits(bytes: Buffer, random: Random, from: number, to: number): Buffer {
  if (to <= from) return bytes;
  for (let count = 1 + random.below(8); count > 0; count--) {
    const at = from + random.below(to - from);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  return bytes;
}

/** Header extensions before the voxels, with sizes that are right, or not. */
function insertExtensions(bytes: Buffer, random: Random): Buffer {
  const { version, little } = shapeOf(bytes);
  const at = version === 1 ? 352 : 544;
  if (bytes.length < at) return bytes;
  const count = random.chance(0.02) ? 1200 : 1 + random.below(4);
  const size = count > 4 ? 8 : 16;
  const extensions = Buffer.alloc(count * size);
  for (let index = 0; index < count; index++) {
    const wrong = random.chance(0.15 / count);
    put(extensions, index * size, "int32", wrong ? random.pick(EXTREMES) : size, little);
    put(extensions, index * size + 4, "int32", random.below(64), little);
  }
  const result = Buffer.concat([bytes.subarray(0, at), extensions, bytes.subarray(at)]);
  result[at - 4] = 1;
  if (random.chance(0.9)) putField(result, "vox_offset", at + extensions.length);
  return result;
}

/** One to three changes; returns what they were. `others` are files to take pieces from. */
export function mutateHeader(
  bytes: Buffer,
  random: Random,
  others: readonly Buffer[],
): { bytes: Buffer; what: string } {
  let result: Buffer = Buffer.from(bytes);
  const names: string[] = [];
  for (let count = random.pick([1, 1, 1, 2, 3]); count > 0; count--) {
    const [name, apply] = random.pick(MUTATIONS);
    result = Buffer.from(apply(result, random, others));
    names.push(name);
  }
  return { bytes: result, what: names.join(", ") };
}

/** A single file as header and image, or null where it is none. */
export function splitPair(bytes: Buffer): { header: Buffer; image: Buffer } | null {
  const { version } = shapeOf(bytes);
  const at = version === 1 ? 352 : 544;
  if (bytes.length < at) return null;
  const header = Buffer.from(bytes.subarray(0, at));
  header.write("ni", version === 1 ? 344 : 4, "latin1");
  putField(header, "vox_offset", 0);
  return { header, image: bytes.subarray(at) };
}
