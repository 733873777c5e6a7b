import { splitShape } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { NiftiImage } from "../nifti/index.ts";
import type { Segmentation } from "./volume.ts";

const LARGEST_CLASS = 2 ** 16 - 1;

/** The classes of a label or prediction. Errors: DATA_INVALID naming the file for channels and for values that are no classes. */
export function segmentationOf(
  { path, shape, data }: Pick<NiftiImage, "path" | "shape" | "data">,
  names: ReadonlyMap<number, string>,
): Segmentation {
  if (splitShape({ path, shape }).channels !== 1)
    throw new DistmisError("DATA_INVALID", `${path}: shape ${shape.join(" x ")}, expected classes of X x Y x Z`);
  const values = new Uint16Array(data.length);
  for (let index = 0; index < data.length; index++) {
    const value = data[index] ?? 0;
    if (!(Number.isInteger(value) && value >= 0 && value <= LARGEST_CLASS)) {
      throw new DistmisError(
        "DATA_INVALID",
        `${path}: voxel ${index} is ${value}, expected a class: a whole number from 0 to ${LARGEST_CLASS}`,
      );
    }
    values[index] = value;
  }
  return { values, names };
}
