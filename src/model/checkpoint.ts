/** A model in a file: its weights under the names of the network's parameters, and what is needed to use or train it further. */
import type { Tensor1D } from "@tensorflow/tfjs-node-gpu";
import { z } from "zod";
import { modelSchema, trainSchema } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";
import { type ParameterSpec, parameterCount, splitValues } from "./parameters.ts";
import { type NamedTensor, readSafetensors, writeSafetensors } from "./safetensors.ts";
import type { ModelState } from "./steps.ts";
import type { Network } from "./unet.ts";

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
  best: z.strictObject({ value: z.number(), epoch: z.int() }).nullable(),
  /** How images become the network's input: `distmis.preprocessing` of info.json; null for a data set that DistMIS itself wrote. */
  preprocessing: z.unknown(),
  versions: z.record(z.string(), z.string()),
});
export type ModelFacts = z.output<typeof modelFactsSchema>;

/** The values of a {@link ModelState} on the JavaScript side. */
export interface StateValues {
  parameters: Float32Array;
  statistics: Float32Array;
  /** Null in a file that was made for inference only. */
  slots: {
    first: Float32Array;
    second: Float32Array;
    largest: Float32Array;
  } | null;
}

const values = (tensor: Tensor1D) => Float32Array.from(tensor.dataSync() as Float32Array);

/** Copies a state out of TensorFlow. */
export function stateValues({ parameters, statistics, slots }: ModelState): StateValues {
  return {
    parameters: values(parameters),
    statistics: values(statistics),
    slots: {
      first: values(slots.first),
      second: values(slots.second),
      largest: values(slots.largest),
    },
  };
}

/** Tensors of stored values; the caller disposes of them. Without slots in the file they are zeros. */
export function stateTensors(tf: Tfjs, stored: StateValues, amsgrad: boolean): ModelState {
  const { parameters, statistics, slots } = stored;
  const tensor = (data: Float32Array) => tf.tensor1d(data, "float32");
  const zeros = (size: number) => new Float32Array(size);
  return {
    parameters: tensor(parameters),
    statistics: tensor(statistics),
    slots: {
      first: tensor(slots?.first ?? zeros(parameters.length)),
      second: tensor(slots?.second ?? zeros(parameters.length)),
      largest: tensor(slots?.largest ?? zeros(amsgrad ? parameters.length : 0)),
    },
  };
}

const SLOTS = ["first", "second", "largest"] as const;

/** Writes a checkpoint, atomically. */
export async function writeCheckpoint(
  file: string,
  network: Network,
  stored: StateValues,
  facts: ModelFacts,
): Promise<void> {
  const named = (specs: readonly ParameterSpec[], flat: Float32Array): NamedTensor[] => {
    const pieces = splitValues(specs, flat);
    return specs.map(({ name, shape }) => ({
      name,
      shape,
      data: pieces.get(name) ?? new Float32Array(),
    }));
  };
  const { slots } = stored;
  const tensors = [
    ...named(network.parameters, stored.parameters),
    ...named(network.statistics, stored.statistics),
    ...(slots
      ? SLOTS.map((slot) => ({
          name: `optimizer.${slot}`,
          shape: [slots[slot].length],
          data: slots[slot],
        }))
      : []),
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
  const slot = (name: (typeof SLOTS)[number]) => tensors.get(`optimizer.${name}`)?.data;
  const [first, second, largest] = SLOTS.map(slot);
  return {
    stored: {
      parameters: flat(network.parameters),
      statistics: flat(network.statistics),
      slots: first && second && largest ? { first, second, largest } : null,
    },
    facts,
    network,
  };
}
