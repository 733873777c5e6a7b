/** A model's file: weights under the names of the network's parameters, and what is needed to use or train it further. No TensorFlow. */
import { z } from "zod";
import { modelSchema, trainSchema } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { ParameterSpec } from "./parameters.ts";
import { type NamedTensor, readSafetensors, writeSafetensors } from "./safetensors.ts";

// JSON has no NaN: a metric that is not a number is written as null.
const number = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);

/** A value of the metric that the search goes by, and its epoch. */
const epochValueSchema = z.strictObject({ value: number, epoch: z.int() });
export type EpochValue = z.output<typeof epochValueSchema>;

/** What was reported of an epoch, and the checkpoint that was named; see EpochReport. */
const reportSchema = z.strictObject({
  epoch: z.int().min(1),
  metrics: z.record(z.string(), number),
  checkpoint: z.string(),
});

/** Which trial a model is of. */
const originSchema = z.strictObject({
  experiment: z.string(),
  trial: z.string(),
  attempt: z.int().min(1),
  /** Where it was trained, and when the file was written (ISO 8601, UTC). */
  host: z.string(),
  time: z.iso.datetime(),
  /** Folder of TFRecords, the name of the source data set (null if DistMIS itself wrote them), and SHA-256 of its info.json. */
  data: z.strictObject({ dir: z.string(), name: z.string().nullable(), info_sha256: z.string() }),
});

/** What stands beside the weights, as JSON under the metadata key "distmis". */
export const modelFactsSchema = z.strictObject({
  format: z.literal(1),
  model: modelSchema,
  train: trainSchema,
  /** Modalities of the images. */
  channels: z.int().min(1),
  /** Logits a voxel, see Network. */
  outputs: z.int().min(1).default(1),
  /** Finished epochs and optimiser steps. */
  epoch: z.int().min(0),
  step: z.int().min(0),
  /** Of this epoch. */
  metrics: z.record(z.string(), number),
  /** The metric that `best`, `kept` and `progress` are values of; null in a file from before it was noted. */
  goal: z
    .strictObject({ metric: z.string(), mode: z.enum(["max", "min"]) })
    .nullable()
    .default(null),
  /** Best value of the metric that the search goes by, and its epoch; null before the first validation. */
  best: epochValueSchema.nullable(),
  /** The best ones so far, the best first; as many as are kept. */
  kept: z.array(epochValueSchema).default([]),
  /** The last value that was better than the one before by early stopping's `min_delta`. */
  progress: epochValueSchema.nullable().default(null),
  /** Of all epochs up to this one: a report may be lost on its way to the run. Empty in a file from before it was noted. */
  reports: z.array(reportSchema).default([]),
  /** How images become the network's input: `distmis.preprocessing` of info.json; null for a data set that DistMIS itself wrote. */
  preprocessing: z.unknown(),
  /** Of distmis (also its commit, if it is a clone), tensorflow, node and ray, as far as known. */
  versions: z.record(z.string(), z.string()),
  /** Null in a file from before it was noted. */
  origin: originSchema.nullable().default(null),
});
export type ModelFacts = z.output<typeof modelFactsSchema>;

/** Prefix of what the optimiser remembers; a file without is for inference only. */
export const SLOT_PREFIX = "optimizer.";

/** Writes a model's file, atomically. */
export async function writeModelFile(
  file: string,
  tensors: readonly NamedTensor[],
  facts: z.input<typeof modelFactsSchema>,
): Promise<void> {
  await writeSafetensors(file, tensors, { format: "distmis", distmis: JSON.stringify(facts) });
}

/** @throws DistmisError FILE_UNUSABLE if there is none, DATA_INVALID if it is damaged or of another kind. */
export async function readModelFile(file: string): Promise<{ tensors: Map<string, NamedTensor>; facts: ModelFacts }> {
  const { tensors, metadata } = await readSafetensors(file);
  try {
    return { tensors, facts: modelFactsSchema.parse(JSON.parse(metadata.distmis ?? "null")) };
  } catch (error) {
    throw new DistmisError("DATA_INVALID", `${file}: not a model of distmis, or of a newer version than this one`, {
      cause: error,
    });
  }
}

/** @throws DistmisError DATA_INVALID naming the first parameter that `file` lacks or has in another shape */
export function tensorsOf(
  file: string,
  tensors: ReadonlyMap<string, NamedTensor>,
  specs: readonly ParameterSpec[],
): NamedTensor[] {
  return specs.map(({ name, shape }) => {
    const found = tensors.get(name);
    if (found?.shape.join() === shape.join()) return found;
    throw new DistmisError(
      "DATA_INVALID",
      `${file}: ${name} is ${found?.shape.join(" x ") ?? "missing"}, expected ${shape.join(" x ")}`,
    );
  });
}
