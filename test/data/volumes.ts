/** Small volumes and recipes for the tests of preprocessing. */
import { type Preprocessing, preprocessingSchema, type Volumetric } from "../../src/data/index.ts";
import type { Affine } from "../../src/nifti/index.ts";
import { AFFINE, noise } from "./helpers.ts";

/** A recipe as an older version wrote it, with what the test adds. */
export function recipe(more: object): Preprocessing {
  return preprocessingSchema.parse({
    version: 1,
    modalities: ["m"],
    cut: null,
    shape: [4, 4, 4],
    resize: "tf-half-pixel",
    standardisation: "per-modality",
    labels: { mode: "multiclass", classes: Object.fromEntries(Array.from({ length: 8 }, (_, at) => [at, `c${at}`])) },
    ...more,
  });
}

export type Triple = [number, number, number];

const lengths = (affine: Affine): Triple => {
  const of = (column: number) => Math.hypot(...[0, 1, 2].map((row) => affine[row]?.[column] ?? 0));
  return [of(0), of(1), of(2)];
};
export const volume = (data: Float32Array, shape: readonly number[], affine: Affine = AFFINE): Volumetric => ({
  path: "volume.nii",
  data,
  shape,
  affine,
  spacing: lengths(affine),
});
export const size = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);
export const classNoise = (shape: readonly number[], seed = 1) =>
  noise(size(shape), seed).map((value) => Math.floor(value * 8));
