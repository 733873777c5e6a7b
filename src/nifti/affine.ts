import { NIFTI1, NIFTI2 } from "nifti-reader-js";
import { DistmisError } from "../errors/index.ts";
import type { NiftiLayout } from "./layout.ts";

/** Voxel indices (i, j, k, 1) to world coordinates (x to the right, y to the front, z up), row by row, 4 x 4. */
export type Affine = number[][];

/** The fields of a header that say where its voxels lie, for a file that lies on the same grid. */
export interface StoredGrid {
  qformCode: number;
  sformCode: number;
  /** Units of space and time, as xyzt_units. */
  units: number;
  /** qfac, then the edges of a voxel: pixdim[0] to pixdim[3]. */
  pixdim: number[];
  /** quatern_b, _c, _d, then qoffset_x, _y, _z. */
  qform: number[];
  /** srow_x, srow_y, srow_z. */
  sform: number[];
}

export interface NiftiGeometry {
  affine: Affine;
  stored: StoredGrid;
  /** Which header field the affine comes from. */
  affineSource: "sform" | "qform" | "pixdim";
  /** Length of a voxel's x, y, z edges in mm. */
  spacing: [number, number, number];
  description: string;
}

/**
 * Reads orientation and spacing from the fixed header, in nibabel's order of preference: sform, qform, and without
 * either, pixdim with the volume's centre at the origin and x running to the left (Analyze's convention).
 *
 * `header` is the fixed header alone, so that nifti-reader-js never walks extensions.
 */
export function readGeometry(path: string, header: Buffer, layout: NiftiLayout): NiftiGeometry {
  const bytes = new ArrayBuffer(layout.headerBytes);
  new Uint8Array(bytes).set(header.subarray(0, layout.headerBytes));
  const parsed = layout.version === 1 ? new NIFTI1() : new NIFTI2();
  parsed.readHeader(bytes);

  const sizes = [1, 2, 3].map((axis) => Math.abs(parsed.pixDims[axis] ?? 0) || 1);
  const [dx = 1, dy = 1, dz = 1] = sizes;
  let affine: Affine;
  let affineSource: NiftiGeometry["affineSource"];
  if (parsed.sform_code > 0) {
    affine = storedRows(bytes, layout);
    affineSource = "sform";
  } else if (parsed.qform_code > 0) {
    affine = new NIFTI1().convertNiftiQFormToNiftiSForm(
      parsed.quatern_b,
      parsed.quatern_c,
      parsed.quatern_d,
      parsed.qoffset_x,
      parsed.qoffset_y,
      parsed.qoffset_z,
      dx,
      dy,
      dz,
      parsed.pixDims[0] ?? 1,
    );
    affineSource = "qform";
  } else {
    const centre = [0, 1, 2].map((axis) => ((layout.shape[axis] ?? 1) - 1) / 2);
    const [cx = 0, cy = 0, cz = 0] = centre;
    affine = [
      [-dx, 0, 0, dx * cx],
      [0, dy, 0, -dy * cy],
      [0, 0, dz, -dz * cz],
      [0, 0, 0, 1],
    ];
    affineSource = "pixdim";
  }
  const unit = millimetres(parsed.xyzt_units);
  const spacing = columnLengths(affine).map((length, axis) => (length || (sizes[axis] ?? 1)) * unit);
  if (![...affine.flat(), ...spacing].every(Number.isFinite)) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: the affine from its ${affineSource} is not finite; repair the header`,
    );
  }
  const [sx = 1, sy = 1, sz = 1] = spacing;
  const { quatern_b, quatern_c, quatern_d, qoffset_x, qoffset_y, qoffset_z } = parsed;
  const stored: StoredGrid = {
    qformCode: parsed.qform_code,
    sformCode: parsed.sform_code,
    units: parsed.xyzt_units,
    pixdim: [0, 1, 2, 3].map((index) => parsed.pixDims[index] ?? 0),
    qform: [quatern_b, quatern_c, quatern_d, qoffset_x, qoffset_y, qoffset_z],
    sform: storedRows(bytes, layout).slice(0, 3).flat(),
  };
  return { affine, stored, affineSource, spacing: [sx, sy, sz], description: parsed.description };
}

/** Read here because the library prefers the qform where its code is the larger one. */
function storedRows(header: ArrayBuffer, layout: NiftiLayout): Affine {
  const view = new DataView(header);
  const value = (index: number): number =>
    layout.version === 1
      ? view.getFloat32(280 + 4 * index, layout.littleEndian)
      : view.getFloat64(400 + 8 * index, layout.littleEndian);
  const rows = [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => value(4 * row + column)));
  return [...rows, [0, 0, 0, 1]];
}

/** Lengths of the first three columns: the edges of a voxel in the affine's unit. */
export function columnLengths(affine: Affine): number[] {
  return [0, 1, 2].map((column) => Math.hypot(...[0, 1, 2].map((row) => affine[row]?.[column] ?? 0)));
}

function millimetres(units: number): number {
  const spatial = units & NIFTI1.SPATIAL_UNITS_MASK;
  if (spatial === NIFTI1.UNITS_METER) return 1000;
  if (spatial === NIFTI1.UNITS_MICRON) return 0.001;
  return 1;
}

/** Largest absolute difference between two affines. */
export function affineDistance(a: Affine, b: Affine): number {
  let distance = 0;
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 4; column++) {
      distance = Math.max(distance, Math.abs((a[row]?.[column] ?? 0) - (b[row]?.[column] ?? 0)));
    }
  }
  return distance;
}
