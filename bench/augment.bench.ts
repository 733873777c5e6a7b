/**
 * What augmentation costs a volume: each transform by itself and all of them together, each time applied.
 *   npm run bench -- augment [--json]
 */
import { augment } from "../src/augment/index.ts";
import { augmentationSchema } from "../src/config/index.ts";
import type { Volume } from "../src/data/index.ts";
import { median, printer } from "./frame.ts";

const always = { probability: 1 };
const transforms = {
  flip: always,
  rotation: always,
  scaling: always,
  gaussian_noise: always,
  intensity: always,
  gamma: always,
};
const cases = { ...Object.fromEntries(Object.entries(transforms).map((each) => [each[0], [each]])), all: null };

function volume(imageShape: Volume["imageShape"]): Volume {
  const [x, y, z, channels] = imageShape;
  const label = new Float32Array(x * y * z).map((_, i) => (i % 5 === 0 ? 1 : 0));
  return { image: new Float32Array(label.length * channels).map((_, i) => Math.sin(i)), label, imageShape, index: 0 };
}

const print = printer("augmentation, one thread, median over epochs after a warm-up");
for (const [shape, epochs] of [
  [[40, 56, 40, 1], 60],
  [[96, 96, 96, 4], 8],
] satisfies [Volume["imageShape"], number][]) {
  const source = volume(shape);
  for (const [name, entries] of Object.entries(cases)) {
    const config = augmentationSchema.parse(entries ? Object.fromEntries(entries) : transforms);
    const times: number[] = [];
    for (let epoch = -epochs / 2; epoch < epochs; epoch++) {
      const start = performance.now();
      augment(source, config, 1, epoch);
      if (epoch >= 0) times.push(performance.now() - start);
    }
    const workload = `${shape.slice(0, 3).join(" x ")} x ${shape[3]}`;
    print({
      bench: "augment",
      case: `${name}, ${workload}`,
      ours: median(times),
      peer: null,
      ratio: null,
      unit: "ms a volume",
    });
  }
}
