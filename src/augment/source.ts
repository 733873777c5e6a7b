/** The training split as augmentation leaves it. */
import type { AugmentationConfig } from "../config/index.ts";
import type { Volume } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { VolumeSource } from "../trainer/volumes.ts";
import { withPreset } from "./augment.ts";
import { type AugmentThread, ahead, startAugmentThread } from "./prefetch.ts";

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

export interface AugmentedSource extends VolumeSource {
  /** Ends the thread that augments, if there is one. */
  close(): Promise<void>;
}

/**
 * `source` with its shuffled volumes augmented; those in order stay as they are. Without an augmentation the source itself.
 * @param count volumes that are made ahead of the one that is used: a batch
 */
export function augmentedSource(
  source: VolumeSource,
  augmentation: AugmentationConfig | undefined,
  count: number,
): AugmentedSource {
  if (!augmentation) return { ...source, close: async () => {} };
  const config = withPreset(augmentation);
  let thread: AugmentThread | null = null;
  return {
    size: source.size,
    inOrder: source.inOrder,
    shuffled: (seed, epoch) => {
      thread ??= startAugmentThread();
      const { augment } = thread;
      return ahead(source.shuffled(seed, epoch), count, (volume) => augment(volume, config, seed, epoch));
    },
    close: async () => {
      await thread?.close();
      thread = null;
    },
  };
}
