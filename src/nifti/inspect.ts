import { createHash } from "node:crypto";
import type { Affine } from "./affine.ts";
import type { Datatype } from "./layout.ts";
import { tooShort, withVoxels } from "./open.ts";
import { orientationOf } from "./orientation.ts";
import { createStatistics } from "./statistics.ts";
import { decodeFloat64 } from "./voxels.ts";

/** What is in a NIfTI file. Every number is finite, so that JSON can say it. */
export interface NiftiInspection {
  /** As it was named. */
  file: string;
  /** 1 to 7 sizes: X, Y, Z, then channels or time. */
  shape: number[];
  /** How the voxels are stored. */
  dtype: Datatype;
  /** Byte order of header and voxels: little-endian "<", big-endian ">". */
  endian: "<" | ">";
  /** A voxel's value is slope * stored + inter; 1 and 0 where the header asks for no scaling (slope 0 or not finite). */
  slope: number;
  inter: number;
  /** Voxel indices (i, j, k, 1) to world coordinates, in the header's unit. */
  affine: Affine;
  /** Edges of a voxel in mm. */
  spacing: [number, number, number];
  /** Where the voxel axes run to, for example RAS; null if the affine is singular. */
  orientation: string | null;
  /** Over the finite voxels after scaling; null where there is none, or (sum) where it leaves float64. */
  min: number | null;
  max: number | null;
  sum: number | null;
  /** Voxels that are NaN or infinite. */
  nonfinite: number;
  /** Of all voxels after scaling, as little-endian float64 with x running fastest. */
  sha256: string;
}

const BLOCK_VOXELS = 2 ** 17;

/**
 * Reads a volume once from front to back, a block at a time: memory does not grow with the volume, and it may be larger
 * than what readNifti takes. Accepts and refuses the same files otherwise, with the same errors.
 */
export async function inspectNifti(file: string): Promise<NiftiInspection> {
  return withVoxels(file, async ({ header, layout, source }) => {
    const statistics = createStatistics();
    const hash = createHash("sha256");
    const most = Math.min(BLOCK_VOXELS, layout.voxels);
    const bytes = new Uint8Array(most * layout.bytesPerVoxel);
    const scratch = new Float64Array(most);
    for (let done = 0; done < layout.voxels; done += most) {
      const block = bytes.subarray(0, Math.min(most, layout.voxels - done) * layout.bytesPerVoxel);
      const found = await source.readInto(block);
      if (found < block.length) throw tooShort(source.path, layout, done * layout.bytesPerVoxel + found);
      const values = decodeFloat64(block, layout, scratch);
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      statistics.add(values);
    }
    await source.finish();
    const { slope, inter } = layout.scaling ?? { slope: 1, inter: 0 };
    return {
      file,
      shape: header.shape,
      dtype: header.datatype,
      endian: header.littleEndian ? "<" : ">",
      slope,
      inter,
      affine: header.affine,
      spacing: header.spacing,
      orientation: orientationOf(header.affine),
      ...statistics.result(),
      sha256: hash.digest("hex"),
    };
  });
}
