import { z } from "zod";
import { parseAxisCodes } from "./axis-codes.ts";

const side = z.int().min(1);
const shape3 = z.tuple([side, side, side]);
const millimetres = z.number().positive();

/**
 * How a volume became the network's input: a plain object that is stored in info.json and with every model, so that `predict`
 * repeats it and undoes it. Steps in this order: channels, orientation, cut, spacing, resize (fit "resize"), standardise, pad or
 * crop (fit "pad-or-crop"), channels first. A field that a recipe lacks has the default, which changes nothing.
 */
export const preprocessingSchema = z
  .strictObject({
    version: z.literal(1),
    /** Names of the network's channels, in order. */
    modalities: z.array(z.string()).min(1),
    /** Which channels of the file they are, from 0; null: all, in order. */
    channels: z.array(z.int().min(0)).min(1).nullable().default(null),
    /** Axis codes such as "RAS" that the volume is brought to by exchanging and reversing axes; null: as stored. */
    orientation: z
      .string()
      .refine((codes) => parseAxisCodes(codes) !== null, "expected one letter of each of R/L, A/P and S/I, such as RAS")
      .nullable()
      .default(null),
    /** Only volumes of exactly `depth` slices along the (oriented) z axis keep the slices [start, stop): DistMIS's [:, :, 2:-1] of 155. */
    cut: z.strictObject({ depth: side, start: z.int().min(0), stop: side }).nullable(),
    /**
     * Edges of a voxel in mm that the volume is resampled to, with the interpolation of `resize`. A side of n voxels of d mm gets
     * max(1, round(n * d / spacing)) voxels (halves up) and keeps its whole length, so that a voxel is off by what was rounded.
     */
    spacing: z.tuple([millimetres, millimetres, millimetres]).nullable().default(null),
    /** The network's X, Y, Z. */
    shape: shape3,
    /** How `shape` is reached: by resizing, or by padding (0 in images, background in labels) and cropping, both centred. */
    fit: z.enum(["resize", "pad-or-crop"]).default("resize"),
    /** Half-pixel centres without antialiasing, as tf.image.resize: image trilinear, label nearest neighbour. */
    resize: z.literal("tf-half-pixel"),
    /** Each modality of each volume, on its grid: (x - mean) / max(std, 1/sqrt(voxels)), as tf.image.per_image_standardization. */
    standardisation: z.literal("per-modality"),
    /** What is done with voxels that can't be right. */
    repair: z
      .strictObject({
        /** NaN, infinite or beyond float32 in an image: refused, or set to 0. */
        nonfinite: z.enum(["refuse", "zero"]),
        /**
         * In a label, anything but the values of `labels.classes`: refused; "round" takes the nearest whole number (halves up) and
         * refuses what is no class then; "background" makes it 0.
         */
        labels: z.enum(["refuse", "round", "background"]),
      })
      .default({ nonfinite: "refuse", labels: "refuse" }),
    labels: z.strictObject({
      /** binary: every class above 0 becomes 1. multiclass: each class becomes its position among the sorted values. */
      mode: z.enum(["binary", "multiclass"]),
      /** Value in the label file -> name. */
      classes: z.record(z.string(), z.string()),
    }),
  })
  .refine(({ channels, modalities }) => channels === null || channels.length === modalities.length, {
    path: ["channels"],
    error: "expected one channel for each of the modalities",
  });

export type Preprocessing = z.output<typeof preprocessingSchema>;
export type LabelMode = Preprocessing["labels"]["mode"];

/** Values in a label file, ascending: in a multi-class target the place in this list stands for the class. */
export function classValues(recipe: Preprocessing): number[] {
  return Object.keys(recipe.labels.classes)
    .map(Number)
    .sort((a, b) => a - b);
}

/** DistMIS's cut of the 155 slices of BraTS to 152, which three halvings divide. */
export const DISTMIS_CUT = { depth: 155, start: 2, stop: 154 } as const;

/** X, Y, Z after the cut. */
export function shapeAfterCut(shape: readonly number[], cut: Preprocessing["cut"]): [number, number, number] {
  const [x = 1, y = 1, z = 1] = shape;
  return cut !== null && z === cut.depth ? [x, y, cut.stop - cut.start] : [x, y, z];
}
