import { checkPair, splitShape } from "../data/index.ts";
import { type NiftiImage, niftiStem, orientationOf, readNifti, readNiftiHeader } from "../nifti/index.ts";
import { namesFor } from "./names.ts";
import { segmentationOf } from "./segmentation.ts";
import type { PictureVolume, Segmentation } from "./volume.ts";

/** More rows make no picture. */
const MOST_CHANNELS = 16;

export interface NiftiFiles {
  image: string;
  label?: string | undefined;
  prediction?: string | undefined;
}

/**
 * An image with its label and a prediction, all on one grid; headers are compared before a voxel is read.
 * Errors: as readNifti; DATA_INVALID naming both files if they lie on different grids, or naming one that has more than four axes
 * or values that are no classes.
 */
export async function loadNifti({ image, label, prediction }: NiftiFiles): Promise<PictureVolume> {
  const header = await readNiftiHeader(image);
  const { spatial, channels } = splitShape(header);
  for (const other of [label, prediction]) if (other !== undefined) checkPair(header, await readNiftiHeader(other));
  const { modalities, classes } = await namesFor(image);

  const segmentation = async (path: string | undefined): Promise<Segmentation | null> =>
    path === undefined ? null : segmentationOf(await readNifti(path), classes);
  const truth = await segmentation(label);
  const predicted = await segmentation(prediction);
  const { data, spacing, affine } = await readNifti(image);
  const voxels = spatial[0] * spatial[1] * spatial[2];
  const shown = Math.min(channels, MOST_CHANNELS);
  const stem = niftiStem(image);
  return {
    title: stem,
    stem,
    shape: spatial,
    strides: [1, spatial[0], spatial[0] * spatial[1]],
    spacing,
    orientation: orientationOf(affine),
    channels: Array.from({ length: shown }, (_, channel) => ({
      name:
        modalities.length === channels ? (modalities[channel] ?? "") : channels === 1 ? "image" : `channel ${channel}`,
      data: data.subarray(channel * voxels, (channel + 1) * voxels),
    })),
    truth,
    prediction: predicted,
    notes: [
      ...notFinite(image, data),
      ...(shown < channels ? [`${image} has ${channels} channels: the first ${shown} are drawn`] : []),
    ],
  };
}

function notFinite(path: string, data: NiftiImage["data"]): string[] {
  let count = 0;
  for (let index = 0; index < data.length; index++) if (!Number.isFinite(data[index])) count++;
  return count === 0 ? [] : [`${count} voxels of ${path} are not finite and drawn black`];
}
