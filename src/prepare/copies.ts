/** Augmented copies of a training volume, as augmentation during training would make them. */
import { augment } from "../augment/index.ts";
import { type AugmentationConfig, augmentationSchema } from "../config/index.ts";
import type { PrepareOptions, Volume } from "../data/index.ts";
import { channelsFirst, channelsLast } from "../tfrecord/index.ts";

export interface Copies {
  number: number;
  augmentation: AugmentationConfig;
  seed: number;
}

/** What the options say of copies; null if there are none. */
export function copiesOf({ augment: number, augmentation, seed }: PrepareOptions): Copies | null {
  if (number === 0 || augmentation === null) return null;
  return { number, augmentation: augmentationSchema.parse(augmentation), seed: seed ?? 0 };
}

/** Channels first, as in a record. */
export interface Sample {
  /** [C, X, Y, Z] */
  image: Float32Array;
  /** [1, X, Y, Z] */
  label: Float32Array;
  shape: readonly [number, number, number, number];
}

/**
 * The copies of a volume, one after the other; what happens to copy n follows from seed, n and the volume's place in the training
 * split. Where nothing happens to image or label, a copy shares that array with the volume.
 */
export function* augmentedCopies(sample: Sample, position: number, copies: Copies): Generator<Sample> {
  const [channels, x, y, z] = sample.shape;
  const volume: Volume = {
    image: channels === 1 ? sample.image : channelsLast(sample.image, channels, new Float32Array(sample.image.length)),
    label: sample.label,
    imageShape: [x, y, z, channels],
    index: position,
  };
  const first = (image: Float32Array): Float32Array =>
    channels === 1 ? image : channelsFirst(image, channels, new Float32Array(image.length));
  for (let copy = 1; copy <= copies.number; copy++) {
    const { image, label } = augment(volume, copies.augmentation, copies.seed, copy);
    yield {
      image: image === volume.image ? sample.image : first(image),
      label,
      shape: sample.shape,
    };
  }
}
