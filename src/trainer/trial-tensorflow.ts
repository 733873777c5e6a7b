/** TensorFlow as a trial's resources say. */
import { loadTensorFlow, type TensorFlow } from "../tensorflow/index.ts";
import { freePort } from "./collective-port.ts";
import type { TrialContext } from "./task.ts";

/**
 * With the threads that were reserved for the worker. A worker that shares its GPU takes its share of the GPU's memory and
 * no more; one with whole GPUs takes memory as it needs it. One of several replicas joins their cluster, which lasts as
 * long as their processes, from trial to trial.
 * @throws DistmisError PORT_TAKEN if another process has this replica's port; all replicas are then started anew
 */
export function trialTensorFlow({
  threads,
  config,
  addresses,
  rank,
}: Pick<TrialContext, "threads" | "config" | "addresses" | "rank">): TensorFlow {
  const share = config.resources.gpus_per_replica;
  const gpuMemory = share > 0 && share < 1 ? share : "growth";
  if (addresses.length === 0) return loadTensorFlow({ threads, gpuMemory });
  freePort();
  return loadTensorFlow({ threads, gpuMemory, cluster: { addresses, rank } });
}
