/** From a scanner's file to a segmentation on the same grid. */
import path from "node:path";
import {
  channelsLast,
  checkPair,
  type NiftiImage,
  preprocessImage,
  readNifti,
  restoreLabel,
  writeNifti,
} from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { diceOfSums } from "../model/index.ts";
import type { Model } from "./model.ts";

/** Segments an image: a mask of 0 and 1 on its own grid (x, y, z), x running fastest. */
export function segment(model: Model, image: NiftiImage): Uint8Array {
  const recipe = model.preprocessing;
  if (!recipe) {
    throw new DistmisError(
      "DATA_INVALID",
      "this model was trained on TFRecords without a record of their preprocessing: write them with `distmis tfrecord` and train again",
    );
  }
  const { image: input, shape } = preprocessImage(image, recipe);
  const [channels, x, y, z] = shape;
  return restoreLabel(model.probabilities(channelsLast(input, channels), [x, y, z, channels]), image.shape, recipe);
}

/** Name of the prediction of an image file: its own, always as .nii.gz. */
export function predictionName(file: string): string {
  return `${path.basename(file).replace(/\.(nii|hdr|img)(\.gz)?$/i, "")}.nii.gz`;
}

/**
 * Segments one file and writes the mask, uint8 with the source's shape, affine and spacing, into a folder.
 * @param labelFile compared with the prediction where given
 * @returns where it lies, and its Dice on the source's own grid (any class above 0 against the mask) or null
 */
export async function predictFile(
  model: Model,
  file: string,
  outputDir: string,
  labelFile?: string,
): Promise<{ file: string; dice: number | null }> {
  const image = await readNifti(file);
  const mask = segment(model, image);
  const output = path.join(outputDir, predictionName(file));
  await writeNifti(output, {
    data: mask,
    shape: image.shape.slice(0, 3),
    affine: image.affine,
    description: "distmis",
  });
  return {
    file: output,
    dice: labelFile === undefined ? null : await diceWith(image, mask, labelFile),
  };
}

async function diceWith(image: NiftiImage, mask: Uint8Array, labelFile: string): Promise<number> {
  const label = await readNifti(labelFile);
  checkPair(image, label);
  let [common, predicted, truth] = [0, 0, 0];
  for (let i = 0; i < mask.length; i++) {
    const isTrue = (label.data[i] ?? 0) > 0 ? 1 : 0;
    const isPredicted = mask[i] as number;
    common += isTrue & isPredicted;
    predicted += isPredicted;
    truth += isTrue;
  }
  return diceOfSums(common, predicted, truth);
}
