/** A model's state to and from its file. */
import type { Tensor1D } from "@tensorflow/tfjs-node-gpu";
import type { z } from "zod";
import type { TrainConfig } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";
import { initialScale, LOSS_SCALE } from "./loss-scale.ts";
import {
  type ModelFacts,
  type modelFactsSchema,
  readModelFile,
  SLOT_PREFIX,
  tensorsOf,
  writeModelFile,
} from "./model-file.ts";
import { slotNames } from "./optimizer.ts";
import { type ParameterSpec, parameterCount, splitValues } from "./parameters.ts";
import type { NamedTensor } from "./safetensors.ts";
import type { ModelState } from "./steps.ts";
import type { Network } from "./unet.ts";

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
  await writeModelFile(file, tensors, facts);
}

/**
 * Reads a checkpoint; `networkOf` gives the network that its facts describe.
 * @throws DistmisError FILE_UNUSABLE if there is none, DATA_INVALID if it is damaged, of another kind, or of another network.
 */
export async function readCheckpoint(
  file: string,
  networkOf: (facts: ModelFacts) => Network,
): Promise<{ stored: StateValues; facts: ModelFacts; network: Network }> {
  const { tensors, facts } = await readModelFile(file);
  const network = networkOf(facts);
  const flat = (specs: readonly ParameterSpec[]): Float32Array => {
    const all = new Float32Array(parameterCount(specs));
    let offset = 0;
    for (const { data } of tensorsOf(file, tensors, specs)) {
      all.set(data, offset);
      offset += data.length;
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
