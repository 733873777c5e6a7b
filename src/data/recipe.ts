import { z } from "zod";

const shape3 = z.tuple([z.int().min(1), z.int().min(1), z.int().min(1)]);

/**
 * How a volume became the network's input: a plain object that is stored in info.json and with every model, so that `predict`
 * repeats it and undoes it. Steps in this order: cut, resize, standardise, channels first.
 */
export const preprocessingSchema = z.strictObject({
  version: z.literal(1),
  /** Channels of the image, in order. */
  modalities: z.array(z.string()).min(1),
  /** Only volumes of exactly `depth` slices along z keep the slices [start, stop): DistMIS's [:, :, 2:-1] of 155. */
  cut: z.strictObject({ depth: z.int().min(1), start: z.int().min(0), stop: z.int().min(1) }).nullable(),
  /** The network's X, Y, Z. */
  shape: shape3,
  /** Half-pixel centres without antialiasing, as tf.image.resize: image trilinear, label nearest neighbour. */
  resize: z.literal("tf-half-pixel"),
  /** Each modality of each volume, after the resize: (x - mean) / max(std, 1/sqrt(voxels)), as tf.image.per_image_standardization. */
  standardisation: z.literal("per-modality"),
  labels: z.strictObject({
    /** binary: every class above 0 becomes 1. multiclass: each class becomes its position among the sorted values. */
    mode: z.enum(["binary", "multiclass"]),
    /** Value in the label file -> name. */
    classes: z.record(z.string(), z.string()),
  }),
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
