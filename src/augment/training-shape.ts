import type { AugmentationConfig } from "../config/index.ts";
import type { Volume } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";

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
