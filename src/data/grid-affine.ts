import type { Affine } from "../nifti/index.ts";
import { parseAxisCodes } from "./axis-codes.ts";

/**
 * From the voxels of a record to mm, with voxel 0 at the origin, since records don't say where in the scanner they were.
 * @param spacing edges of a voxel in mm; null: cubes of 1 mm
 * @param orientation where the axes run to, such as "LAS"; null: taken for "RAS"
 */
export function gridAffine(spacing: readonly number[] | null, orientation: string | null): Affine {
  const axes = parseAxisCodes(orientation ?? "RAS") ?? parseAxisCodes("RAS");
  const edge = (axis: number): number => spacing?.[axis] ?? 1;
  const entry = (row: number, column: number): number => {
    const axis = axes?.[column];
    if (axis === undefined || axis.world !== row) return 0;
    return axis.reversed ? -edge(column) : edge(column);
  };
  return [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => entry(row, column)));
}
