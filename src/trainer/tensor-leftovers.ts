/** Whether a task of ours left tensors behind. */
import { loadedTensorFlow } from "../tensorflow/index.ts";

/** Our tasks dispose of everything that they make, so none is left between two trials. */
export function tensorLeftovers(): string | null {
  const count = loadedTensorFlow()?.tf.memory().numTensors ?? 0;
  return count === 0 ? null : `${count} tensors`;
}
