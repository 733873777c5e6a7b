import { DistmisError } from "../errors/index.ts";
import type { NiftiLayout } from "./layout.ts";
import { type NiftiHeader, tooShort, withHeader, withVoxels } from "./open.ts";
import { decodeVoxels, type VoxelArray } from "./voxels.ts";

export interface NiftiImage extends NiftiHeader {
  /**
   * Voxel values after slope and intercept, x running fastest (Fortran order). Float32Array where that is exact (8- and
   * 16-bit integers and float32, unscaled), else Float64Array; 64-bit integers beyond 2^53 become the nearest float64.
   */
  data: VoxelArray;
}

/** A volume of more voxels than this (8 GB as float32) is not read into memory. */
const MAX_VOXELS = 2 ** 31;

/**
 * Reads a volume: NIfTI-1 or NIfTI-2, one file or header and image (either named), plain or gzip (by content, with its
 * CRC verified), both byte orders, all real datatypes. Nothing is allocated that the file can't fill.
 *
 * Errors: FILE_UNUSABLE if a file is missing; DATA_INVALID naming the file for anything that isn't a whole, legal NIfTI
 * volume of real numbers (Analyze, CIFTI, complex and RGB are refused by name).
 */
export async function readNifti(path: string): Promise<NiftiImage> {
  return withVoxels(path, async ({ header, layout, source }) => {
    checkSize(path, layout);
    const voxels = new Uint8Array(layout.voxels * layout.bytesPerVoxel);
    const found = await source.readInto(voxels);
    if (found < voxels.length) throw tooShort(source.path, layout, found);
    await source.finish();
    return { ...header, data: decodeVoxels(voxels, layout) };
  });
}

/** Reads only the header of a volume. Errors as {@link readNifti}, without those that only the voxels can show. */
export async function readNiftiHeader(path: string): Promise<NiftiHeader> {
  return withHeader(path, async ({ header, layout }) => {
    checkSize(path, layout);
    return header;
  });
}

function checkSize(path: string, { voxels, shape }: NiftiLayout): void {
  if (voxels > MAX_VOXELS) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: has ${shape.join(" x ")} voxels, more than the ${MAX_VOXELS} that are read into memory`,
    );
  }
}
