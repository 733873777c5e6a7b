/** How large a checkpoint is, before there is one. No TensorFlow. */
import type { ModelConfig, TrainConfig } from "../config/index.ts";
import { slotNames } from "./optimizer.ts";
import { parameterCount } from "./parameters.ts";
import { unetParameters } from "./unet-parameters.ts";

/** Names, shapes and facts; some kilobytes for a small network, and less than a percent of a large one. */
const HEADER_BYTES = 16 * 1024;

/** Bytes of a checkpoint of a U-Net for images of `channels` modalities: float32 weights, statistics and the optimiser's slots. */
export function checkpointBytes(model: ModelConfig, train: TrainConfig, channels: number, outputs: number): number {
  const { parameters, statistics } = unetParameters(model, channels, outputs);
  const values = parameterCount(parameters) * (1 + slotNames(train).length) + parameterCount(statistics);
  return 4 * values + HEADER_BYTES;
}
