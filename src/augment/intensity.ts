/** Transforms of the voxels' values. All of them work in place on images (X, Y, Z, C), C running fastest. */
import type { AugmentationConfig } from "../config/index.ts";
import type { Random } from "./random.ts";

type Section<Name extends keyof AugmentationConfig> = NonNullable<AugmentationConfig[Name]>;

interface Statistics {
  mean: number;
  /** Of the population. */
  deviation: number;
}

function statistics(image: Float32Array, channels: number, channel: number): Statistics {
  const count = image.length / channels;
  let sum = 0;
  for (let i = channel; i < image.length; i += channels) sum += image[i] as number;
  const mean = sum / count;
  let squares = 0;
  for (let i = channel; i < image.length; i += channels) {
    const distance = (image[i] as number) - mean;
    squares += distance * distance;
  }
  return { mean, deviation: Math.sqrt(squares / count) };
}

/** Scales and shifts the values of one channel. */
function linear(image: Float32Array, channels: number, channel: number, scale: number, shift: number): void {
  for (let i = channel; i < image.length; i += channels) image[i] = scale * (image[i] as number) + shift;
}

/** Gives a channel this mean and deviation; one of a single value gets the mean. */
function setStatistics(image: Float32Array, channels: number, channel: number, target: Statistics): void {
  const own = statistics(image, channels, channel);
  const scale = own.deviation > 0 ? target.deviation / own.deviation : 0;
  linear(image, channels, channel, scale, target.mean - own.mean * scale);
}

export function addNoise(
  image: Float32Array,
  channels: number,
  config: Section<"gaussian_noise">,
  random: Random,
): void {
  random.addNormal(image, random.uniform(...config.deviation));
  if (!config.standardise_after) return;
  for (let channel = 0; channel < channels; channel++) {
    setStatistics(image, channels, channel, { mean: 0, deviation: 1 });
  }
}

export function scaleAndShift(
  image: Float32Array,
  channels: number,
  config: Section<"intensity">,
  random: Random,
): void {
  for (let channel = 0; channel < channels; channel++) {
    linear(image, channels, channel, random.uniform(...config.scale), random.uniform(...config.shift));
  }
}

/**
 * Of batchgenerators (nnU-Net): v' = low + span * ((v - low) / span)^gamma, low and span being the channel's least value
 * and the distance to its largest one.
 */
export function applyGamma(image: Float32Array, channels: number, config: Section<"gamma">, random: Random): void {
  const sign = random.chance(config.invert_probability) ? -1 : 1;
  for (let channel = 0; channel < channels; channel++) {
    const exponent = drawExponent(config.range, random);
    const before = statistics(image, channels, channel);
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = channel; i < image.length; i += channels) {
      const value = sign * (image[i] as number);
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const span = high - low;
    if (!(span > 0)) continue;
    for (let i = channel; i < image.length; i += channels) {
      const unit = (sign * (image[i] as number) - low) / span;
      // unit ** exponent takes twice as long; of 0 the logarithm is -Infinity and the result 0.
      image[i] = sign * (low + span * Math.exp(exponent * Math.log(unit)));
    }
    if (config.retain_statistics) setStatistics(image, channels, channel, before);
  }
}

/** Below and above 1 equally often where the range holds both, as batchgenerators draws it. */
function drawExponent([low, high]: [number, number], random: Random): number {
  if (low >= 1 || high <= 1) return random.uniform(low, high);
  return random.chance(0.5) ? random.uniform(low, 1) : random.uniform(1, high);
}
