/** What must hold of any file, whatever is in it. */
import { createHash } from "node:crypto";
import { DistmisError } from "../../src/errors/index.ts";
import { inspectNifti, type NiftiImage, type NiftiInspection, readNifti } from "../../src/nifti/index.ts";

const VOXEL_BYTES: Record<NiftiInspection["dtype"], number> = {
  ...{ uint8: 1, int8: 1, uint16: 2, int16: 2, uint32: 4, int32: 4, uint64: 8, int64: 8, float32: 4, float64: 8 },
};

/**
 * Reads a file in both ways. Returns the reason of a refusal with its numbers taken out, or null if it was accepted.
 * Throws if a reader throws anything but an error for people, if the two disagree, or if a volume was accepted of more than
 * `room` bytes, the most that its files can hold.
 */
export async function checkFile(path: string, dir: string, room: number): Promise<string | null> {
  const inspected = await attempt(() => inspectNifti(path), dir);
  const read = await attempt(() => readNifti(path), dir);
  if (typeof inspected === "string" || typeof read === "string") {
    if (inspected !== read) throw new Error(`inspectNifti and readNifti disagree: ${told(inspected)}; ${told(read)}`);
    return withoutNumbers(inspected);
  }
  compare(inspected, read);
  const { shape, dtype } = inspected;
  const bytes = shape.reduce((product, size) => product * size, 1) * VOXEL_BYTES[dtype];
  if (bytes > room) throw new Error(`${bytes} bytes of voxels were accepted of files that hold ${room} at most`);
  return null;
}

function withoutNumbers(message: string): string {
  return message
    .replace(/^\S+: /, "")
    .replaceAll(/case-\d+/g, "case")
    .replaceAll(/-?\d+(\.\d+)?(e[+-]?\d+)?/g, "#")
    .replaceAll(/#( x #)+/g, "# x #")
    .replaceAll(/magic is ".*?",/g, 'magic is "...",');
}

const told = (outcome: object | string): string => (typeof outcome === "string" ? outcome : "accepted");

async function attempt<T extends object>(read: () => Promise<T>, dir: string): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    const legal = error instanceof DistmisError && ["DATA_INVALID", "FILE_UNUSABLE"].includes(error.code);
    if (!legal) throw error;
    if (error.message.includes("\n") || !error.message.startsWith(dir)) {
      throw new Error(`the message is not one line that begins with the file: ${error.message}`);
    }
    return error.message.replaceAll(`${dir}/`, "");
  }
}

function compare(inspected: NiftiInspection, read: NiftiImage): void {
  const values = read.data instanceof Float64Array ? read.data : new Float64Array(read.data);
  const sha256 = createHash("sha256")
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest("hex");
  if (sha256 !== inspected.sha256) throw new Error("inspectNifti and readNifti have different voxels");
  const { min, max, sum, orientation, ...numbers } = inspected;
  if (JSON.stringify(numbers).includes("null")) throw new Error(`a number is not finite: ${JSON.stringify(numbers)}`);
  if ((min === null) !== (max === null)) throw new Error(`min is ${min}, max is ${max}, sum ${sum}, ${orientation}`);
}
