/** A model in a file: its weights under the names of the network's parameters, and what is needed to use or train it further. */
import type { Tensor1D } from "@tensorflow/tfjs-node-gpu";
import { z } from "zod";
import { modelSchema, type TrainConfig, trainSchema } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";
import { initialScale, LOSS_SCALE } from "./loss-scale.ts";
import { slotNames } from "./optimizer.ts";
import { type ParameterSpec, parameterCount, splitValues } from "./parameters.ts";
import { type NamedTensor, readSafetensors, writeSafetensors } from "./safetensors.ts";
import type { ModelState } from "./steps.ts";
import type { Network } from "./unet.ts";

/** A value of the metric that the search goes by, and its epoch. */
const epochValueSchema = z.strictObject({ value: z.number(), epoch: z.int() });
export type EpochValue = z.output<typeof epochValueSchema>;

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
  metrics: z.record(z.string(), z.number()),
  /** Best value of the metric that the search goes by, and its epoch; null before the first validation. */
  best: epochValueSchema.nullable(),
  /** The best ones so far, the best first; as many as are kept. */
  kept: z.array(epochValueSchema).default([]),
  /** The last value that was better than the one before by early stopping's `min_delta`. */
  progress: epochValueSchema.nullable().default(null),
  /** How images become the network's input: `distmis.preprocessing` of info.json; null for a data set that DistMIS itself wrote. */
  preprocessing: z.unknown(),
  versions: z.record(z.string(), z.string()),
});
export type ModelFacts = z.output<typeof modelFactsSchema>;

/** The values of a {@link ModelState} on the JavaScript side. */
export interface StateValues {
  parameters: Float32Array;
  statistics: Float32Array;
  /** What the optimiser remembers; empty in a file that was made for inference only. */
  slots: Readonly<Record<string, Float32Array>>;
}

const values = (tensor: Tensor1D) => Float32Array.from(tensor.dataSync() as Float32Array);

/** Copies a state out of TensorFlow. */
export function stateValues({ parameters, statistics, slots }: ModelState): StateValues {
  return {
    parameters: values(parameters),
    statistics: values(statistics),
    slots: Object.fromEntries(Object.entries(slots).map(([name, tensor]) => [name, values(tensor)])),
  };
}

/** Stored weights as tensors, for inference; the caller disposes of them. */
export function weightTensors(
  tf: Tfjs,
  { parameters, statistics }: StateValues,
): Pick<ModelState, "parameters" | "statistics"> {
  return { parameters: tf.tensor1d(parameters, "float32"), statistics: tf.tensor1d(statistics, "float32") };
}

/** Tensors of stored values; the caller disposes of them. Slots that the file lacks begin as in a new state. */
export function stateTensors(tf: Tfjs, stored: StateValues, train: TrainConfig): ModelState {
  const slots = slotNames(train).map((name): [string, Tensor1D] => {
    const data = stored.slots[name];
    return [name, data ? tf.tensor1d(data, "float32") : tf.zeros([stored.parameters.length])];
  });
  return {
    ...weightTensors(tf, stored),
    slots: { ...Object.fromEntries(slots), ...initialScale(tf, train, stored.slots[LOSS_SCALE]) },
  };
}

const SLOT_PREFIX = "optimizer.";

/** Writes a checkpoint, atomically. */
export async function writeCheckpoint(
  file: string,
  network: Network,
  stored: StateValues,
  facts: z.input<typeof modelFactsSchema>,
): Promise<void> {
  const named = (specs: readonly ParameterSpec[], flat: Float32Array): NamedTensor[] => {
    const pieces = splitValues(specs, flat);
    return specs.map(({ name, shape }) => ({
      name,
      shape,
      data: pieces.get(name) ?? new Float32Array(),
    }));
  };
  const tensors = [
    ...named(network.parameters, stored.parameters),
    ...named(network.statistics, stored.statistics),
    ...Object.entries(stored.slots).map(([slot, data]) => ({
      name: SLOT_PREFIX + slot,
      shape: [data.length],
      data,
    })),
  ];
  await writeSafetensors(file, tensors, {
    format: "distmis",
    distmis: JSON.stringify(facts),
  });
}

/**
 * Reads a checkpoint; `networkOf` gives the network that its facts describe.
 * @throws DistmisError FILE_UNUSABLE if there is none, DATA_INVALID if it is damaged, of another kind, or of another network.
 */
export async function readCheckpoint(
  file: string,
  networkOf: (facts: ModelFacts) => Network,
): Promise<{ stored: StateValues; facts: ModelFacts; network: Network }> {
  const { tensors, metadata } = await readSafetensors(file);
  let facts: ModelFacts;
  try {
    facts = modelFactsSchema.parse(JSON.parse(metadata.distmis ?? "null"));
  } catch (error) {
    throw new DistmisError("DATA_INVALID", `${file}: not a model of distmis, or of a newer version than this one`, {
      cause: error,
    });
  }
  const network = networkOf(facts);
  const flat = (specs: readonly ParameterSpec[]): Float32Array => {
    const all = new Float32Array(parameterCount(specs));
    let offset = 0;
    for (const { name, shape } of specs) {
      const found = tensors.get(name);
      if (found?.shape.join() !== shape.join()) {
        throw new DistmisError(
          "DATA_INVALID",
          `${file}: ${name} is ${found?.shape.join(" x ") ?? "missing"}, expected ${shape.join(" x ")}`,
        );
      }
      all.set(found.data, offset);
      offset += found.data.length;
    }
    return all;
  };
  const parameters = flat(network.parameters);
  const slots: Record<string, Float32Array> = {};
  for (const { name, data } of tensors.values()) {
    // A format before this one kept an empty vector for a slot that is not used.
    if (!name.startsWith(SLOT_PREFIX) || data.length === 0) continue;
    const slot = name.slice(SLOT_PREFIX.length);
    const expected = slot === LOSS_SCALE ? 2 : parameters.length;
    if (data.length !== expected) {
      throw new DistmisError("DATA_INVALID", `${file}: ${name} has ${data.length} values, expected ${expected}`);
    }
    slots[slot] = data;
  }
  return { stored: { parameters, statistics: flat(network.statistics), slots }, facts, network };
}
