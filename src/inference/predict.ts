/** From a scanner's file to a segmentation on the same grid. */
import path from "node:path";
import {
  checkPair,
  classValues,
  type Geometry,
  imageOnGrid,
  type Preprocessing,
  type Restored,
  restoreSegmentation,
} from "../data/index.ts";
import { overlapCounts, overlapScores } from "../metrics/index.ts";
import { type NiftiHeader, type NiftiImage, niftiStem, readNifti, writeNifti } from "../nifti/index.ts";
import { makeFolder } from "../paths/index.ts";
import type { Ensemble, WindowOptions } from "./ensemble.ts";

/** Name of the prediction of an image file: its own, always as .nii.gz. */
export function predictionName(file: string): string {
  return `${niftiStem(file)}.nii.gz`;
}

/**
 * Place of an image's probabilities in the folder of the predictions: in one of their own, so that the folder can be evaluated.
 */
export function probabilitiesName(file: string): string {
  return path.join("probabilities", `${niftiStem(file)}_prob.nii.gz`);
}

/** Dice on the source's own grid. */
export interface NativeDice {
  /** Mean over the foreground classes; of a binary model, of any class above 0 against the mask. */
  mean: number;
  /** By the value in the label file; empty for a binary model. */
  classes: Record<string, number>;
}

export interface PredictFileOptions extends WindowOptions {
  /** Compared with the prediction. */
  labelFile?: string;
  /** Write the probabilities as well. */
  probabilities?: boolean;
}

export interface PredictedFile {
  file: string;
  /** Null if they weren't asked for. */
  probabilities: string | null;
  dice: NativeDice | null;
}

/**
 * Segments one file and writes the segmentation into a folder: uint8 (or uint16, see Restored) with the source's shape and its
 * header's affine, units and spacing; and where asked for the probabilities, float32, of a multi-class model with the classes along
 * a fourth axis.
 * Errors: as readNifti and imageOnGrid; FILE_UNUSABLE; INTERRUPTED when the signal fires.
 */
export async function predictFile(
  models: Ensemble,
  file: string,
  outputDir: string,
  options: PredictFileOptions = {},
): Promise<PredictedFile> {
  const { header, restored } = await segment(models, file, options);
  const { segmentation, probabilities } = restored;
  const volume = { affine: header.stored, description: "distmis" };
  const spatial = header.shape.slice(0, 3);
  const probabilitiesFile = probabilities === null ? null : path.join(outputDir, probabilitiesName(file));
  if (probabilities !== null && probabilitiesFile !== null) {
    const [x = 1, y = 1, z = 1] = spatial;
    const shape = models.recipe.labels.mode === "binary" ? spatial : [x, y, z, classValues(models.recipe).length];
    await makeFolder(path.dirname(probabilitiesFile));
    await writeNifti(probabilitiesFile, { ...volume, data: probabilities, shape });
  }
  // Last: where it is there, the case is complete.
  const output = path.join(outputDir, predictionName(file));
  await writeNifti(output, { ...volume, data: segmentation, shape: spatial });
  const { labelFile } = options;
  const dice = labelFile === undefined ? null : await diceWith(header, segmentation, labelFile, models.recipe);
  return { file: output, probabilities: probabilitiesFile, dice };
}

async function segment(
  models: Ensemble,
  file: string,
  options: PredictFileOptions,
): Promise<{ header: NiftiHeader; restored: Restored }> {
  const { header, input } = await readInput(file, models.recipe);
  const probabilities = await models.probabilities(input, options);
  return { header, restored: restoreSegmentation(probabilities, header, models.recipe, options.probabilities) };
}

/** The stored voxels end here: they needn't be kept while the network works. */
async function readInput(file: string, recipe: Preprocessing) {
  const stored = await readNifti(file);
  const { data, ...header }: NiftiImage = stored;
  return { header, input: imageOnGrid({ ...header, data }, recipe) };
}

async function diceWith(
  image: Geometry,
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
