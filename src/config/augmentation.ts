/** The section `train.augmentation`: what happens to a training volume before a step sees it. See docs/augmentation.md. */
import { z } from "zod";

const probability = (value: number) =>
  z.number().min(0).max(1).default(value).describe("How often it happens, for each volume by itself.");

/** [low, high], both included. */
const range = (value: z.ZodNumber, expected: string) =>
  z
    .tuple([value, value])
    .refine(([low, high]) => low <= high)
    .meta({ expected });

const positive = range(z.number().gt(0), "[low, high], two numbers greater than 0, the smaller one first");
const any = range(z.number(), "[low, high], two numbers, the smaller one first");
const degrees = range(
  z.number().min(-180).max(180),
  "[low, high], two numbers of degrees from -180 to 180, the smaller one first",
).default([-30, 30]);

const axes = z
  .array(z.enum(["x", "y", "z"]))
  .min(1)
  .meta({ expected: "a list of some of x, y, z" });

export const augmentationSchema = z.strictObject({
  preset: z
    .enum(["distmis"])
    .optional()
    .describe("`distmis`: what DistMIS defines. Transforms that are named as well take the place of the preset's."),
  crop: z
    .strictObject({
      shape: z
        .tuple([z.int().min(1), z.int().min(1), z.int().min(1)])
        .meta({ expected: "[x, y, z], three whole numbers of voxels" })
        .describe("Sides of the training shape; each divisible by 2^depth."),
      foreground_probability: z
        .number()
        .min(0)
        .max(1)
        .default(0.33)
        .describe("How often the crop is laid around a voxel of a class other than 0."),
    })
    .optional()
    .describe("A random part of each volume; always, not by chance."),
  rotation: z
    .strictObject({ probability: probability(0.2), x: degrees, y: degrees, z: degrees })
    .optional()
    .describe("About the three axes, each angle uniform in its range of degrees."),
  scaling: z
    .strictObject({
      probability: probability(0.2),
      range: positive.default([0.7, 1.4]).describe("Above 1 the content grows."),
    })
    .optional(),
  flip: z
    .strictObject({
      probability: probability(0.5).describe("For each axis by itself."),
      axes: axes.default(["x", "y", "z"]),
    })
    .optional(),
  gaussian_noise: z
    .strictObject({
      probability: probability(0.1),
      deviation: range(z.number().min(0), "[low, high], two numbers of at least 0, the smaller one first").default([
        0, 0.2,
      ]),
      standardise_after: z.boolean().default(false).describe("Mean 0 and deviation 1 again for each channel."),
    })
    .optional(),
  intensity: z
    .strictObject({
      probability: probability(0.15),
      scale: positive.default([0.75, 1.25]),
      shift: any.default([-0.1, 0.1]),
    })
    .optional()
    .describe("scale * value + shift, drawn for each channel."),
  gamma: z
    .strictObject({
      probability: probability(0.3),
      range: positive.default([0.7, 1.5]),
      invert_probability: z
        .number()
        .min(0)
        .max(1)
        .default(0)
        .describe("How often, where it happens, it is done on the inverted image."),
      retain_statistics: z.boolean().default(true).describe("The channel's mean and deviation stay as they were."),
    })
    .optional()
    .describe("The channel's values rescaled to [0, 1], to a power drawn for each channel."),
});

export type AugmentationConfig = z.output<typeof augmentationSchema>;
