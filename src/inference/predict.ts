/** From a scanner's file to a segmentation on the same grid. */
import path from "node:path";
import {
  channelsLast,
  checkPair,
  classValues,
  type Preprocessing,
  preprocessImage,
  restoreClasses,
  restoreLabel,
} from "../data/index.ts";
import { overlapCounts, overlapScores } from "../metrics/index.ts";
import { type NiftiImage, niftiStem, readNifti, writeNifti } from "../nifti/index.ts";
import type { Ensemble } from "./ensemble.ts";

/**
 * Segments an image, on its own grid (x, y, z), x running fastest: 0 and 1 of a binary model, else the classes' values as in
 * label files.
 */
export function segment(models: Ensemble, image: NiftiImage): Uint8Array | Uint16Array {
  const { recipe } = models;
  const { image: input, shape } = preprocessImage(image, recipe);
  const [channels, x, y, z] = shape;
  const probabilities = models.probabilities(channelsLast(input, channels), [x, y, z, channels]);
  const restore = recipe.labels.mode === "binary" ? restoreLabel : restoreClasses;
  return restore(probabilities, image, recipe);
}

/** Name of the prediction of an image file: its own, always as .nii.gz. */
export function predictionName(file: string): string {
  return `${niftiStem(file)}.nii.gz`;
}

/** Dice on the source's own grid. */
export interface NativeDice {
  /** Mean over the foreground classes; of a binary model, of any class above 0 against the mask. */
  mean: number;
  /** By the value in the label file; empty for a binary model. */
  classes: Record<string, number>;
}

/**
 * Segments one file and writes the segmentation, uint8 (or uint16, see restoreClasses) with the source's shape, affine and
 * spacing, into a folder.
 * @param labelFile compared with the prediction where given
 */
export async function predictFile(
  models: Ensemble,
  file: string,
  outputDir: string,
  labelFile?: string,
): Promise<{ file: string; dice: NativeDice | null }> {
  const image = await readNifti(file);
  const segmentation = segment(models, image);
  const output = path.join(outputDir, predictionName(file));
  await writeNifti(output, {
    data: segmentation,
    shape: image.shape.slice(0, 3),
    affine: image.affine,
    description: "distmis",
  });
  return {
    file: output,
    dice: labelFile === undefined ? null : await diceWith(image, segmentation, labelFile, models.recipe),
  };
}

async function diceWith(
  image: NiftiImage,
  segmentation: Uint8Array | Uint16Array,
  labelFile: string,
  recipe: Preprocessing,
): Promise<NativeDice> {
  const label = await readNifti(labelFile);
  checkPair(image, label);
  const binary = recipe.labels.mode === "binary";
  const foreground = binary ? [1] : classValues(recipe).filter((value) => value > 0);
  const dice = [...overlapCounts(label.data, segmentation, foreground, binary)].map(
    ([value, counts]) => [String(value), overlapScores(counts).dice] as const,
  );
  return {
    mean: dice.reduce((sum, [, each]) => sum + each, 0) / dice.length,
    classes: binary ? {} : Object.fromEntries(dice),
  };
}
