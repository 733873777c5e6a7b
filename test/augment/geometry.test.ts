/** Crop, rotation, scaling and flips: exact where they can be, image and label together everywhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { augmented, numbered, volumeOf } from "./volumes.ts";

const near = (found: Float32Array, expected: Float32Array, tolerance: number) => {
  assert.equal(found.length, expected.length);
  const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? Number.NaN))), 0);
  assert.ok(worst <= tolerance, `differs by ${worst}`);
};

for (const axis of ["x", "y", "z"] as const) {
  test(`a flip along ${axis} is that axis backwards, in image and label`, () => {
    const volume = numbered([3, 4, 5, 2]);
    const back = (x: number, y: number, z: number): [number, number, number] => [
      axis === "x" ? 2 - x : x,
      axis === "y" ? 3 - y : y,
      axis === "z" ? 4 - z : z,
    ];
    const at = (x: number, y: number, z: number) => (x * 4 + y) * 5 + z;
    const expected = volumeOf(
      [3, 4, 5, 2],
      (x, y, z, channel) => volume.image[at(...back(x, y, z)) * 2 + channel] ?? Number.NaN,
      (x, y, z) => volume.label[at(...back(x, y, z))] ?? Number.NaN,
    );
    const { image, label } = augmented(volume, { flip: { axes: [axis], probability: 1 } });
    assert.deepEqual(image, expected.image);
    assert.deepEqual(label, expected.label);
  });
}

test("each axis flips by a chance of its own", () => {
  const counts = { x: 0, y: 0, z: 0, none: 0 };
  const volumes = 4000;
  for (let index = 0; index < volumes; index++) {
    const [a = 0, , , , , , , last = 0] = augmented(numbered([2, 2, 2, 1], index), {
      flip: { probability: 0.25 },
    }).image;
    assert.equal(a + last, 7);
    if (a & 4) counts.x++;
    if (a & 2) counts.y++;
    if (a & 1) counts.z++;
    if (a === 0) counts.none++;
  }
  // Six standard deviations of a binomial count.
  const close = (found: number, share: number) =>
    assert.ok(Math.abs(found - volumes * share) < 6 * Math.sqrt(volumes * share * (1 - share)), `${found} of ${share}`);
  close(counts.x, 0.25);
  close(counts.y, 0.25);
  close(counts.z, 0.25);
  close(counts.none, 0.75 ** 3);
});

const still = { x: [0, 0], y: [0, 0], z: [0, 0] };
const permutations = {
  // Axis of the rotation -> where in the source the voxel of the result comes from, on a cube of side 6.
  x: (x, y, z) => [x, 5 - z, y],
  y: (x, y, z) => [z, y, 5 - x],
  z: (x, y, z) => [5 - y, x, z],
} satisfies Record<string, (x: number, y: number, z: number) => [number, number, number]>;

for (const axis of ["x", "y", "z"] as const) {
  test(`90 degrees about ${axis} on a cube exchange its voxels exactly`, () => {
    const volume = numbered([6, 6, 6, 2]);
    const from = (x: number, y: number, z: number) => {
      const [a, b, c] = permutations[axis](x, y, z);
      return (a * 6 + b) * 6 + c;
    };
    const expected = volumeOf(
      [6, 6, 6, 2],
      (x, y, z, channel) => volume.image[from(x, y, z) * 2 + channel] ?? Number.NaN,
      (x, y, z) => volume.label[from(x, y, z)] ?? Number.NaN,
    );
    const { image, label } = augmented(volume, { rotation: { ...still, probability: 1, [axis]: [90, 90] } });
    assert.deepEqual(image, expected.image);
    assert.deepEqual(label, expected.label);
  });
}

test("any rotation and scaling of a linear image is that linear function of the turned coordinates", () => {
  // Linear functions are what trilinear interpolation reproduces; the centre voxel stays, distances grow by the scale.
  const [side, middle] = [21, 10];
  const linear = (a: number, b: number, c: number) =>
    volumeOf([side, side, side, 1], (x, y, z) => a * x + b * y + c * z);
  const section = { rotation: { probability: 1 }, scaling: { probability: 1, range: [1.25, 1.25] } };
  const coordinates = [linear(1, 0, 0), linear(0, 1, 0), linear(0, 0, 1)].map(
    (volume) => augmented(volume, section).image,
  );
  const at = (x: number, y: number, z: number) =>
    coordinates.map((of) => of[((middle + x) * side + middle + y) * side + middle + z] ?? Number.NaN);
  const centre = at(0, 0, 0);
  for (const value of centre) assert.ok(Math.abs(value - middle) < 1e-5, `the centre moved to ${centre}`);
  const steps = [at(4, 0, 0), at(0, 4, 0), at(0, 0, 4)].map((place) => place.map((value) => (value - middle) / 4));
  for (const [i, a] of steps.entries()) {
    for (const [j, b] of steps.entries()) {
      const dot = a.reduce((sum, value, k) => sum + value * (b[k] ?? Number.NaN), 0);
      assert.ok(Math.abs(dot - (i === j ? 1 / 1.25 ** 2 : 0)) < 1e-5, `axes ${i} and ${j}: ${dot}`);
    }
  }
});

test("a rotated and scaled label stays on the bright voxels it was drawn around", () => {
  // A blob that is brightest in its middle; its label is where it is brighter than a half.
  const blob = (x: number, y: number, z: number) =>
    Math.exp(-((x - 14) ** 2 / 90 + (y - 20) ** 2 / 60 + (z - 12) ** 2 / 40));
  for (let index = 0; index < 8; index++) {
    const volume = volumeOf([32, 40, 32, 1], blob, (x, y, z) => (blob(x, y, z) > 0.5 ? 1 : 0), index);
    const section = { rotation: { probability: 1 }, scaling: { probability: 1 }, flip: { probability: 0.5 } };
    const { image, label } = augmented(volume, {
      ...section,
      crop: { shape: [28, 32, 24], foreground_probability: 1 },
    });
    let [foreground, unsure] = [0, 0];
    for (const [i, value] of image.entries()) {
      foreground += label[i] ?? 0;
      // Half a voxel's way between the nearest voxel and the place itself may change sides.
      if (Math.abs(value - 0.5) < 0.12) unsure++;
      else assert.equal(label[i], value > 0.5 ? 1 : 0, `volume ${index} at ${i}: ${value}`);
    }
    assert.ok(foreground > 300 && unsure < 2 * foreground, `${foreground} foreground, ${unsure} unsure`);
  }
});

test("outside of the volume lies what lies on its border, in image and label", () => {
  const volume = volumeOf(
    [8, 8, 8, 1],
    (x) => (x < 4 ? -3 : 5),
    (x) => (x < 4 ? 0 : 2),
  );
  const { image, label } = augmented(volume, { scaling: { probability: 1, range: [0.25, 0.25] } });
  assert.equal(image[0], -3);
  assert.equal(image.at(-1), 5);
  assert.equal(label[0], 0);
  assert.equal(label.at(-1), 2);
});

test("a crop is a part of the volume as it is, anywhere in it", () => {
  const corners = new Set<number>();
  for (let index = 0; index < 400; index++) {
    const volume = numbered([5, 6, 4, 2], index);
    const result = augmented(volume, { crop: { shape: [4, 4, 4], foreground_probability: 0 } });
    assert.deepEqual(result.imageShape, [4, 4, 4, 2]);
    const corner = (result.image[0] ?? 0) / 2;
    corners.add(corner);
    const expected = volumeOf(
      [4, 4, 4, 2],
      (x, y, z, channel) => volume.image[(corner + (x * 6 + y) * 4 + z) * 2 + channel] ?? Number.NaN,
      (x, y, z) => volume.label[corner + (x * 6 + y) * 4 + z] ?? Number.NaN,
    );
    assert.deepEqual(result.image, expected.image);
    assert.deepEqual(result.label, expected.label);
  }
  // 2 x 3 x 1 places.
  assert.equal(corners.size, 6);
});

test("a crop with foreground holds some of each class in turn, however it is turned", () => {
  // One voxel of class 1 in a corner against many of class 3.
  const classAt = (x: number, y: number, z: number) => (x === 19 && y === 0 && z === 19 ? 1 : x < 4 && y > 12 ? 3 : 0);
  const bright = (x: number, y: number, z: number) => classAt(x, y, z);
  const seen = { 1: 0, 3: 0 };
  for (let index = 0; index < 60; index++) {
    const volume = volumeOf([20, 20, 20, 1], bright, classAt, index);
    const section = { crop: { shape: [8, 8, 8], foreground_probability: 1 }, flip: { probability: 0.5 } };
    const { label } = augmented(volume, index % 2 ? section : { ...section, rotation: { probability: 1 } });
    const one = label.includes(1);
    assert.ok(one || label.includes(3), `volume ${index} has no foreground`);
    seen[one ? 1 : 3]++;
  }
  assert.ok(seen[1] > 15 && seen[3] > 15, JSON.stringify(seen));
});

test("a volume without foreground is cropped all the same", () => {
  const { label } = augmented(
    volumeOf([6, 6, 6, 1], () => 1),
    { crop: { shape: [4, 4, 4], foreground_probability: 1 } },
  );
  assert.equal(label.length, 64);
});

test("several transforms at once are one interpolation: a turn forth is undone by none of the others", () => {
  // Flip and a quarter turn of a cube are permutations, so that together they must be one as well.
  const volume = numbered([6, 6, 6, 1]);
  const { image } = augmented(volume, {
    rotation: { ...still, probability: 1, z: [90, 90] },
    flip: { axes: ["y"], probability: 1 },
  });
  near(image.slice().sort(), volume.image, 0);
  // The result at (x, y, z) is the turned one at (x, 5 - y, z), which comes from (5 - (5 - y), x, z).
  assert.equal(image[(1 * 6 + 2) * 6 + 3], volume.image[(2 * 6 + 1) * 6 + 3]);
});
