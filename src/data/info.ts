import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { preprocessingSchema } from "./recipe.ts";

const count = z.int().min(0);

const sourceFileSchema = z.object({
  /** Relative to source_dir. */
  path: z.string(),
  bytes: count,
  modified_ms: z.number(),
  sha256: z.string(),
});

const triple = z.array(z.number()).length(3);

/** Voxels that a named option has repaired. */
const repairedSchema = z.object({ nonfinite: count, labels: count });

const sampleSchema = z.object({
  image: sourceFileSchema,
  label: sourceFileSchema,
  /** 0: the volume itself; from 1 on: its augmented copies. */
  copy: count.default(0),
  /** Edges of a voxel in mm, as written. */
  spacing: triple.nullable().default(null),
  /** In the source files. */
  repaired: repairedSchema.default({ nonfinite: 0, labels: 0 }),
});

/** A pair that --skip-bad left out. Paths as in {@link sourceFileSchema}. */
const skippedSchema = z.object({
  image: z.string(),
  label: z.string(),
  /** What a run without --skip-bad would have said. */
  reason: z.string(),
  /** A pair whose headers are bad takes no part in the split; one whose voxels are bad leaves a gap in its split. */
  found: z.enum(["headers", "voxels"]),
  /** Sizes and times of both files, so that a repaired one is noticed. */
  stamp: z.string(),
});

const shapeOption = z.union([z.literal("auto"), z.array(z.int()).length(3)]).nullable();

const ownSchema = z.object({
  format: z.literal(1),
  /** Absolute, on the machine where the data set was written. */
  source_dir: z.string(),
  name: z.string(),
  /** [C, X, Y, Z], channels first as in the records. */
  image_shape: z.array(z.int().min(1)).length(4),
  label_shape: z.array(z.int().min(1)).length(4),
  modalities: z.array(z.string()),
  /** Value in the label file -> name. */
  classes: z.record(z.string(), z.string()),
  preprocessing: preprocessingSchema,
  /** What the user asked for, to tell whether the data set is up to date. */
  options: z.object({
    split: triple,
    reshape: shapeOption,
    divisor: z.int(),
    /** Missing in a data set written before there was a choice. */
    labels: z.enum(["binary", "multiclass"]).default("binary"),
    /** "K/N" as in --fold; null: test is the end of the list. */
    fold: z
      .string()
      .regex(/^\d+\/\d+$/)
      .nullable()
      .default(null),
    /** Of the shuffled split and of the copies; null: the order of dataset.json, and copies by seed 0. */
    seed: count.nullable().default(null),
    /** Names of dataset.json; null: all. */
    modalities: z.array(z.string()).nullable().default(null),
    orientation: z.string().nullable().default(null),
    /** Edges of a voxel in mm. */
    resample: z
      .union([z.literal("auto"), triple])
      .nullable()
      .default(null),
    pad_or_crop: shapeOption.default(null),
    /** Augmented copies of each training volume. */
    augment: count.default(0),
    /** Their transforms, as in `train.augmentation`; null without copies. */
    augmentation: z.record(z.string(), z.unknown()).nullable().default(null),
    skip_bad: z.boolean().default(false),
    repair_nonfinite: z.enum(["refuse", "zero"]).default("refuse"),
    repair_labels: z.enum(["refuse", "round", "background"]).default("refuse"),
  }),
  /** Of the programs that wrote the data set. */
  versions: z.object({ distmis: z.string(), node: z.string() }).nullable().default(null),
  /** Median over the volumes of a voxel's edges in mm, as written. */
  spacing: triple.nullable().default(null),
  /** Sums over the volumes. */
  repaired: repairedSchema.default({ nonfinite: 0, labels: 0 }),
  /** In the order of dataset.json. */
  skipped: z.array(skippedSchema).default([]),
  /** By position in the split: file by file. */
  samples: z.object({ train: z.array(sampleSchema), valid: z.array(sampleSchema), test: z.array(sampleSchema) }),
  /** Size of every shard in bytes. */
  files: z.record(z.string(), count),
});

export { sampleSchema, skippedSchema };

/** info.json: DistMIS's counts (copies count as samples), and under `distmis` what this program adds. */
export const infoSchema = z.looseObject({
  total_size: count,
  train_size: count,
  valid_size: count,
  test_size: count,
  /** Numbers of files. */
  train_shard: count,
  valid_shard: count,
  test_shard: count,
  distmis: ownSchema.optional(),
});

export type DatasetInfo = z.output<typeof infoSchema>;
export type OwnInfo = z.output<typeof ownSchema>;
export type SourceFile = z.output<typeof sourceFileSchema>;
export type SampleInfo = z.output<typeof sampleSchema>;
export type SkippedPair = z.output<typeof skippedSchema>;
/** What the user asked for. */
export type PrepareOptions = OwnInfo["options"];

export const INFO_FILE = "info.json";

/** Null if there is none. */
export async function readInfoIfAny(dir: string): Promise<DatasetInfo | null> {
  const path = join(dir, INFO_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return null;
    throw new DistmisError("FILE_UNUSABLE", `${path}: can't be read: ${messageOf(error)}`, { cause: error });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new DistmisError("DATA_INVALID", `${path}: not JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = infoSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new DistmisError(
    "DATA_INVALID",
    `${path}: field "${issue?.path.join(".") ?? ""}": ${issue?.message ?? "invalid"}`,
    {
      cause: parsed.error,
    },
  );
}

/**
 * Reads the info.json of a folder of TFRecords, as `distmis tfrecord` or DistMIS's tfrecord.py wrote it (then without `distmis`).
 * Errors: FILE_UNUSABLE if it isn't there, DATA_INVALID naming the field.
 */
export async function readInfo(dir: string): Promise<DatasetInfo> {
  const info = await readInfoIfAny(dir);
  if (info !== null) return info;
  throw new DistmisError(
    "FILE_UNUSABLE",
    `${join(dir, INFO_FILE)}: does not exist; make the data set with \`distmis tfrecord --source-dir ... --target-dir ${dir}\``,
  );
}
