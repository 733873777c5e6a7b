import type { Shape3 } from "../data/index.ts";
import type { VoxelArray } from "../nifti/index.ts";

/** A volume to draw, from whatever file. */
export interface PictureVolume {
  /** Written above the picture. */
  title: string;
  /** For the file's name. */
  stem: string;
  /** X, Y, Z */
  shape: Shape3;
  /** Steps in the arrays from a voxel to its neighbour along x, y, z: NIfTI and TFRecords run in opposite orders. */
  strides: Shape3;
  /** Edges of a voxel in mm; null if they aren't known: then voxels are drawn as cubes of 1 mm. */
  spacing: Shape3 | null;
  /** Where the voxel axes run to, such as "LAS" (nibabel's aff2axcodes); null if that isn't known. */
  orientation: string | null;
  channels: { name: string; data: VoxelArray }[];
  truth: Segmentation | null;
  prediction: Segmentation | null;
  /** What a person should know, one sentence each. */
  notes: string[];
}

export interface Segmentation {
  /** Class of each voxel, 0 for the background. */
  values: Uint16Array;
  /** Names of the classes, where there are any. */
  names: ReadonlyMap<number, string>;
}

/** Classes above 0 that occur, ascending. */
export function classesOf({ values }: Segmentation): number[] {
  const seen = new Uint8Array(2 ** 16);
  for (let index = 0; index < values.length; index++) seen[values[index] ?? 0] = 1;
  return Array.from(seen.keys()).filter((value) => value > 0 && seen[value] === 1);
}

/** Every class above 0 as one. */
export function merged({ values, names }: Segmentation): Segmentation {
  const foreground = [...names].filter(([value]) => value > 0);
  const name = foreground.length === 1 ? (foreground[0]?.[1] ?? "foreground") : "foreground";
  return { values: values.map((value) => (value > 0 ? 1 : 0)), names: new Map([[1, name]]) };
}

export function mergedVolume(volume: PictureVolume): PictureVolume {
  const one = (segmentation: Segmentation | null): Segmentation | null => segmentation && merged(segmentation);
  return { ...volume, truth: one(volume.truth), prediction: one(volume.prediction) };
}
