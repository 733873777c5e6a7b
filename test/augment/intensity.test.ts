/** Noise, intensity and gamma; what the seed decides; the preset; the configuration's messages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withPreset } from "../../src/augment/augment.ts";
import { trainingShape } from "../../src/augment/index.ts";
import { augmentationSchema, defineExperiment, trialConfig } from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";
import { augmented, numbered, statistics, volumeOf } from "./volumes.ts";

const within = (found: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `expected ${expected} +- ${tolerance}, found ${found}`);

test("noise is normal, of mean 0 and the deviation that was asked for", () => {
  const section = { gaussian_noise: { probability: 1, deviation: [0.5, 0.5] } };
  const { image, label } = augmented(
    volumeOf(
      [50, 50, 41, 1],
      () => 3,
      () => 1,
    ),
    section,
  );
  const { mean, deviation } = statistics(image);
  const count = image.length;
  within(mean, 3, (6 * 0.5) / Math.sqrt(count));
  within(deviation, 0.5, (6 * 0.5) / Math.sqrt(2 * count));
  const share = (limit: number) => image.filter((value) => Math.abs(value - 3) < limit * 0.5).length / count;
  within(share(1), 0.6827, 0.01);
  within(share(2), 0.9545, 0.005);
  const pairs = image.reduce((sum, value, i) => sum + (value - 3) * ((image[i + 1] ?? 3) - 3), 0) / count;
  within(pairs, 0, (6 * 0.25) / Math.sqrt(count));
  assert.ok(label.every((value) => value === 1));
});

test("an odd number of values gets noise to the last one", () => {
  const { image } = augmented(
    volumeOf([3, 3, 3, 1], () => 0),
    { gaussian_noise: { probability: 1, deviation: [1, 1] } },
  );
  assert.ok(image.every((value) => value !== 0 && Number.isFinite(value)));
});

test("after standardisation each channel has mean 0 and deviation 1", () => {
  const volume = volumeOf([12, 12, 12, 2], (x, y, z, channel) => (channel ? 100 + x * y : z));
  const section = { gaussian_noise: { probability: 1, deviation: [0.2, 0.2], standardise_after: true } };
  const { image } = augmented(volume, section);
  for (const channel of [0, 1]) {
    const { mean, deviation } = statistics(image, 2, channel);
    within(mean, 0, 1e-4);
    within(deviation, 1, 1e-4);
  }
});

test("intensity is a scale and a shift of its own for each channel", () => {
  const volume = volumeOf([5, 5, 5, 2], (x, y, z, channel) => x + 2 * y - z + 10 * channel);
  const { image } = augmented(volume, { intensity: { probability: 1, scale: [0.5, 2], shift: [-1, 1] } });
  const drawn = [0, 1].map((channel) => {
    // Voxels (0, 0, 0) and (1, 0, 0).
    const [a = 0, b = 0] = [image[channel], image[25 * 2 + channel]];
    const scale = b - a;
    const shift = a - scale * (volume.image[channel] ?? 0);
    assert.ok(scale >= 0.5 && scale <= 2 && shift >= -1.001 && shift <= 1.001, `${scale} ${shift}`);
    image.forEach((value, i) => {
      if (i % 2 === channel) within(value, scale * (volume.image[i] ?? 0) + shift, 1e-4);
    });
    return scale;
  });
  assert.notEqual(drawn[0], drawn[1]);
});

const ramp = volumeOf([10, 10, 10, 1], (x, y, z) => (x * 100 + y * 10 + z) / 250 - 1);
const rising = (image: Float32Array) => image.every((value, i) => i === 0 || value >= (image[i - 1] ?? 0));

test("gamma keeps the order of the values and their range, and bends between them as its power says", () => {
  const { image } = augmented(ramp, { gamma: { probability: 1, range: [2, 2], retain_statistics: false } });
  assert.ok(rising(image));
  within(image[0] ?? 0, -1, 1e-6);
  within(image.at(-1) ?? 0, ramp.image.at(-1) ?? 1, 1e-6);
  // Half way along the ramp: 0.5 squared.
  const [low, high] = [ramp.image[0] ?? 0, ramp.image.at(-1) ?? 0];
  within(image[500] ?? 0, low + (high - low) * (500 / 999) ** 2, 1e-5);
});

test("inverted gamma bends the other way", () => {
  const section = { probability: 1, range: [2, 2], invert_probability: 1, retain_statistics: false };
  const { image } = augmented(ramp, { gamma: section });
  assert.ok(rising(image));
  const [low, high] = [ramp.image[0] ?? 0, ramp.image.at(-1) ?? 0];
  within(image[500] ?? 0, high - (high - low) * (499 / 999) ** 2, 1e-5);
});

test("gamma can keep mean and deviation; a constant image stays as it is", () => {
  const { image } = augmented(ramp, { gamma: { probability: 1 } });
  assert.notDeepEqual(image, ramp.image);
  const [before, after] = [statistics(ramp.image), statistics(image)];
  within(after.mean, before.mean, 1e-5);
  within(after.deviation, before.deviation, 1e-5);
  const flat = volumeOf([4, 4, 4, 1], () => 7);
  assert.deepEqual(augmented(flat, { gamma: { probability: 1 } }).image, flat.image);
});

const everything = {
  crop: { shape: [8, 8, 8] },
  rotation: { probability: 0.8 },
  scaling: { probability: 0.8 },
  flip: {},
  gaussian_noise: { probability: 0.8 },
  intensity: { probability: 0.8 },
  gamma: { probability: 0.8 },
};

test("seed, epoch and the volume's index decide, and nothing else", () => {
  const volume = numbered([10, 12, 9, 2], 5);
  const once = augmented(volume, everything, { seed: 3, epoch: 7 });
  augmented(numbered([10, 12, 9, 2], 4), everything, { seed: 3, epoch: 7 });
  assert.deepEqual(augmented(volume, everything, { seed: 3, epoch: 7 }), once);
  assert.deepEqual(volume, numbered([10, 12, 9, 2], 5));
  assert.notDeepEqual(augmented(volume, everything, { seed: 4, epoch: 7 }).image, once.image);
  assert.notDeepEqual(augmented(volume, everything, { seed: 3, epoch: 8 }).image, once.image);
  assert.notDeepEqual(augmented(numbered([10, 12, 9, 2], 6), everything, { seed: 3, epoch: 7 }).image, once.image);
});

test("what is absent or has no chance changes nothing", () => {
  const volume = numbered([4, 4, 4, 1]);
  const never = { flip: { probability: 0 }, rotation: { probability: 0 }, gaussian_noise: { probability: 0 } };
  for (const section of [{}, never]) {
    const result = augmented(volume, section);
    assert.equal(result.image, volume.image);
    assert.equal(result.label, volume.label);
  }
});

test("the preset is DistMIS's; a transform that is named takes the place of the preset's", () => {
  const { flip, gaussian_noise: noise, ...others } = withPreset(augmentationSchema.parse({ preset: "distmis" }));
  assert.deepEqual(others, {});
  assert.deepEqual(flip, { probability: 0.1, axes: ["x", "y", "z"] });
  assert.deepEqual(noise, { probability: 0.1, deviation: [0.2, 0.2], standardise_after: true });
  const own = withPreset(augmentationSchema.parse({ preset: "distmis", flip: { axes: ["x"] }, gamma: {} }));
  assert.deepEqual(own.flip, { probability: 0.5, axes: ["x"] });
  assert.equal(own.gaussian_noise?.standardise_after, true);
  assert.equal(own.gamma?.probability, 0.3);
});

const experiment = (augmentation: object, space = {}) =>
  defineExperiment({ name: "a", data: { dir: "d" }, train: { augmentation }, search: { space } });

test("a probability can be searched over; an experiment without the section has none", () => {
  const searched = experiment({ gamma: {} }, { "train.augmentation.gamma.probability": { grid: [0, 0.5] } });
  const trial = trialConfig(searched, { "train.augmentation.gamma.probability": 0.5 });
  assert.equal(trial.train.augmentation?.gamma?.probability, 0.5);
  assert.equal(defineExperiment({ name: "a", data: { dir: "d" } }).train.augmentation, undefined);
});

test("wrong fields are named with what they expect", () => {
  const refuse = (augmentation: object, message: RegExp) =>
    assert.throws(
      () => experiment(augmentation),
      (error: unknown) => {
        assert.ok(error instanceof DistmisError);
        assert.equal(error.code, "CONFIG_INVALID");
        assert.match(error.message, message);
        return true;
      },
    );
  refuse({ flips: {} }, /train\.augmentation\.flips: unknown key; did you mean flip\?/);
  refuse(
    { flip: { probability: 2 } },
    /train\.augmentation\.flip\.probability: expected a number from 0 to 1, found 2/,
  );
  refuse({ gamma: { range: [2, 1] } }, /gamma\.range: expected \[low, high\], .*the smaller one first, found \[2,1\]/);
  refuse({ flip: { axes: ["w"] } }, /flip\.axes\[0\]: expected one of "x", "y", "z", found "w"/);
  refuse({ crop: { shape: [8, 8] } }, /crop\.shape.*expected .*, found/);
});

test("a crop larger than the volumes is refused", () => {
  const augmentation = augmentationSchema.parse({ crop: { shape: [8, 8, 8] } });
  assert.deepEqual(trainingShape([8, 9, 10, 3], augmentation), [8, 8, 8, 3]);
  assert.throws(() => trainingShape([8, 7, 10, 3], augmentation), /crop\.shape: expected at most .* 8 x 7 x 10/);
});
