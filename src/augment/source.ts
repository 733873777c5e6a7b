/** The training split as augmentation leaves it. */
import type { AugmentationConfig } from "../config/index.ts";
import type { Volume } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { VolumeSource } from "../trainer/volumes.ts";
import { augment, withPreset } from "./augment.ts";

/**
 * The shape [X, Y, Z, C] of the volumes that training gets.
 * Errors: CONFIG_INVALID if the crop is larger than the volume.
 */
export function trainingShape(
  shape: Volume["imageShape"],
  augmentation: AugmentationConfig | undefined,
): Volume["imageShape"] {
  const crop = augmentation?.crop?.shape;
  if (!crop) return shape;
  const [x, y, z, channels] = shape;
  if (crop[0] > x || crop[1] > y || crop[2] > z) {
    throw new DistmisError(
      "CONFIG_INVALID",
      `train.augmentation.crop.shape: expected at most the volumes' ${x} x ${y} x ${z}, found ${crop.join(" x ")}`,
    );
  }
  return [...crop, channels];
}

/** `source` with its shuffled volumes augmented; those in order stay as they are. Without an augmentation the source itself. */
export function augmentedSource(source: VolumeSource, augmentation: AugmentationConfig | undefined): VolumeSource {
  if (!augmentation) return source;
  const config = withPreset(augmentation);
  return {
    size: source.size,
    inOrder: source.inOrder,
    shuffled: async function* (seed, epoch) {
      for await (const volume of source.shuffled(seed, epoch)) yield augment(volume, config, seed, epoch);
    },
  };
}
