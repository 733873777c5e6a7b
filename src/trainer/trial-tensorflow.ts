/** TensorFlow as a trial's resources say. */
import { loadTensorFlow, type TensorFlow } from "../tensorflow/index.ts";
import type { TrialContext } from "./task.ts";

/**
 * With the threads that were reserved for the worker. A worker that shares its GPU takes its share of the GPU's memory and
 * no more; one with whole GPUs takes memory as it needs it.
 */
export function trialTensorFlow({ threads, config }: Pick<TrialContext, "threads" | "config">): TensorFlow {
  const share = config.resources.gpus_per_replica;
  return loadTensorFlow({ threads, gpuMemory: share > 0 && share < 1 ? share : "growth" });
}
