/**
 * Named float32 tensors in one file, as safetensors (https://github.com/huggingface/safetensors: size of the header as
 * u64 LE, header as JSON, data), which Python reads with `safetensors.numpy.load_file`.
 */
import fs from "node:fs/promises";
import { crc32c } from "@node-rs/crc32";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";

export interface NamedTensor {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}

const entrySchema = z.object({
  dtype: z.literal("F32"),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});
const headerSchema = z.object({ __metadata__: z.record(z.string(), z.string()).default({}) }).catchall(entrySchema);

/** Keys of our checksums over the data and over the header, in the format's free metadata. */
const CHECKSUM = "crc32c";
const HEADER_CHECKSUM = "header_crc32c";
/** Stands for the header's own checksum while it is computed. */
const UNSET = "00000000";
const headerField = (sum: string) => `"${HEADER_CHECKSUM}":"${sum}"`;
const hex = (sum: number) => sum.toString(16).padStart(UNSET.length, "0");
/** A header larger than this is no model of ours. */
const LARGEST_HEADER = 16 * 2 ** 20;

const bytesOf = (data: Float32Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Writes the file, see replaceFile. Errors: FILE_UNUSABLE, DISK_FULL. */
export async function writeSafetensors(
  file: string,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const data = tensors.map((tensor) => bytesOf(tensor.data));
  let offset = 0;
  const entries = tensors.map(({ name, shape, data: values }) => {
    const start = offset;
    offset += values.byteLength;
    return [name, { dtype: "F32", shape, data_offsets: [start, offset] }];
  });
  const header = {
    __metadata__: {
      ...metadata,
      [CHECKSUM]: String(data.reduce((sum, piece) => crc32c(piece, sum), 0)),
      [HEADER_CHECKSUM]: UNSET,
    },
    ...Object.fromEntries(entries),
  };
  const unsigned = JSON.stringify(header);
  // Within a value of the metadata the quotes would be escaped.
  const text = Buffer.from(unsigned.replace(headerField(UNSET), headerField(hex(crc32c(unsigned)))));
  // The data begins at a multiple of 8.
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, " ");
  text.copy(padded);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(padded.length));
  await replaceFile(file, [size, padded, ...data]);
}

/**
 * Reads and verifies a file.
 * @throws DistmisError FILE_UNUSABLE if there is none, DATA_INVALID if it is damaged or of another kind.
 */
export async function readSafetensors(file: string): Promise<{
  tensors: Map<string, NamedTensor>;
  metadata: Record<string, string>;
}> {
  let bytes: Buffer;
  try {
    bytes = await fs.readFile(file);
  } catch (error) {
    const why = hasErrno(error, "ENOENT") ? "does not exist" : `can't be read: ${messageOf(error)}`;
    throw new DistmisError("FILE_UNUSABLE", `${file}: ${why}`, {
      cause: error,
    });
  }
  const bad = (why: string, cause?: unknown) =>
    new DistmisError("DATA_INVALID", `${file}: not a whole model file: ${why}`, { cause });
  if (bytes.length < 8) throw bad(`${bytes.length} bytes`);
  const size = Number(bytes.readBigUInt64LE());
  if (size > LARGEST_HEADER || size > bytes.length - 8) throw bad(`its header claims ${size} bytes`);
  const text = bytes.toString("utf8", 8, 8 + size).trimEnd();
  let header: z.output<typeof headerSchema>;
  try {
    header = headerSchema.parse(JSON.parse(text));
  } catch (error) {
    throw bad("its header is not that of a safetensors file of float32", error);
  }
  const data = bytes.subarray(8 + size);
  const { __metadata__: metadata, ...entries } = header;
  const checksum = metadata[CHECKSUM];
  if (checksum !== undefined && checksum !== String(crc32c(data))) throw bad("its checksum is wrong");
  const signature = metadata[HEADER_CHECKSUM];
  // A file of another program has none, one of an older distmis that of the data alone.
  if (signature !== undefined && signature !== hex(crc32c(text.replace(headerField(signature), headerField(UNSET))))) {
    throw bad("the checksum of its header is wrong");
  }
  const tensors = new Map<string, NamedTensor>();
  for (const [name, entry] of Object.entries(entries)) {
    const { shape, data_offsets } = entrySchema.parse(entry);
    const [start, end] = data_offsets;
    const values = shape.reduce((product, side) => product * side, 1);
    if (end - start !== 4 * values || end > data.length) throw bad(`tensor ${name} lies outside it`);
    // A copy, as the file's buffer need not be aligned to 4 bytes.
    tensors.set(name, {
      name,
      shape,
      data: new Float32Array(Uint8Array.from(data.subarray(start, end)).buffer),
    });
  }
  return { tensors, metadata };
}
