/** One volume through all transforms of the configuration. */
import type { AugmentationConfig } from "../config/index.ts";
import type { Volume } from "../data/index.ts";
import { drawGeometry } from "./geometry.ts";
import { addNoise, applyGamma, scaleAndShift } from "./intensity.ts";
import { volumeRandom } from "./random.ts";
import { resample } from "./resample.ts";

/** DistMIS's: defined there, each with a probability of 0.1. */
const PRESETS = {
  distmis: {
    flip: { probability: 0.1, axes: ["x", "y", "z"] },
    gaussian_noise: { probability: 0.1, deviation: [0.2, 0.2], standardise_after: true },
  },
} satisfies Record<NonNullable<AugmentationConfig["preset"]>, AugmentationConfig>;

/** The transforms of the preset and those that are named, which take the place of the preset's. */
export function withPreset({ preset, ...named }: AugmentationConfig): AugmentationConfig {
  return preset === undefined ? named : { ...PRESETS[preset], ...named };
}

/**
 * The volume as epoch `epoch` sees it: crop, rotation and scaling, flips, then noise, intensity, gamma. What happens
 * follows from seed, epoch and the volume's index alone. The given volume stays as it is; where nothing happens to
 * its image or its label, the result shares that array with it.
 * @param room where what is changed goes, arrays of the result's size that nothing else uses; default: arrays of its own
 */
export function augment(
  volume: Volume,
  config: AugmentationConfig,
  seed: number,
  epoch: number,
  room?: Pick<Volume, "image" | "label">,
): Volume {
  const random = volumeRandom(seed, epoch, volume.index);
  const [x, y, z, channels] = volume.imageShape;
  const geometry = drawGeometry({ label: volume.label, shape: [x, y, z] }, config, random);
  const { image, label } = geometry ? resample(volume, geometry, room) : volume;
  const result: Volume = {
    image,
    label,
    imageShape: geometry ? [...geometry.shape, channels] : volume.imageShape,
    index: volume.index,
  };
  const change = (transform: () => void): void => {
    if (result.image === volume.image) {
      room?.image.set(volume.image);
      result.image = room?.image ?? volume.image.slice();
    }
    transform();
  };
  const { gaussian_noise: noise, intensity, gamma } = config;
  if (noise && random.chance(noise.probability)) change(() => addNoise(result.image, channels, noise, random));
  if (intensity && random.chance(intensity.probability)) {
    change(() => scaleAndShift(result.image, channels, intensity, random));
  }
  if (gamma && random.chance(gamma.probability)) change(() => applyGamma(result.image, channels, gamma, random));
  return result;
}
