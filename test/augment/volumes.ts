/** Volumes for the tests of augmentation. */
import { augment, withPreset } from "../../src/augment/augment.ts";
import { augmentationSchema } from "../../src/config/index.ts";
import type { Volume } from "../../src/data/index.ts";

type Shape = [number, number, number, number];

/** Image values by x, y, z, channel; label by x, y, z. */
export function volumeOf(
  shape: Shape,
  value: (x: number, y: number, z: number, channel: number) => number,
  classAt: (x: number, y: number, z: number) => number = () => 0,
  index = 0,
): Volume {
  const [width, height, depth, channels] = shape;
  const image = new Float32Array(width * height * depth * channels);
  const label = new Float32Array(width * height * depth);
  let at = 0;
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++)
      for (let z = 0; z < depth; z++) {
        label[at] = classAt(x, y, z);
        for (let channel = 0; channel < channels; channel++) image[at * channels + channel] = value(x, y, z, channel);
        at++;
      }
  return { image, label, imageShape: shape, index };
}

/** Every voxel and channel another number. */
export const numbered = (shape: Shape, index = 0): Volume =>
  volumeOf(
    shape,
    (x, y, z, channel) => ((x * shape[1] + y) * shape[2] + z) * shape[3] + channel,
    (x, y, z) => (x * 7 + y * 3 + z) % 4,
    index,
  );

/** Augmented by a section as a person would write it. */
export function augmented(volume: Volume, section: unknown, { seed = 1, epoch = 1 } = {}): Volume {
  return augment(volume, withPreset(augmentationSchema.parse(section)), seed, epoch);
}

/** Mean and deviation of one channel. */
export function statistics(image: Float32Array, channels = 1, channel = 0): { mean: number; deviation: number } {
  const values = image.filter((_, i) => i % channels === channel);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / values.length) };
}
