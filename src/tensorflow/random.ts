/**
 * Random numbers that follow from a seed which is a tensor: what a traced function draws differs from call to call when the
 * seed does, and repeats with it. tfjs's own random functions draw in JavaScript, so that a trace would hold one draw for
 * ever.
 */
import type { Tensor, Tensor1D } from "@tensorflow/tfjs-node-gpu";
import type { TensorFlow } from "./runtime.ts";

const OPERATIONS = {
  /** In [0, 1). */
  uniform: "StatelessRandomUniform",
  /** Mean 0, deviation 1. */
  normal: "StatelessRandomNormal",
  /** As `normal`, drawn again beyond two deviations. */
  truncatedNormal: "StatelessTruncatedNormal",
} as const;

// Steps count up in the seed's second number, and so may experiments in its first: streams lie far apart in it.
const STREAM_DISTANCE = 7919;

/**
 * A float32 tensor of random numbers (TensorFlow's StatelessRandom operations: Philox, the same on every device).
 * @param seed int32 [2]: by custom an experiment's seed and a step; handed to a traced function as an input
 * @param stream another one for each draw within a step, which would be equal otherwise
 */
export function statelessRandom<T extends Tensor = Tensor>(
  { tf, rawOp }: TensorFlow,
  distribution: keyof typeof OPERATIONS,
  shape: readonly number[],
  seed: Tensor1D,
  stream = 0,
): T {
  if (seed.dtype !== "int32" || seed.shape[0] !== 2 || seed.shape.length !== 1) {
    throw new Error(`a seed of random numbers: expected int32 [2], found ${seed.dtype} [${seed.shape.join(", ")}]`);
  }
  return tf.tidy(() => {
    const own = stream === 0 ? seed : seed.add(tf.tensor1d([STREAM_DISTANCE * stream, 0], "int32"));
    const [drawn] = rawOp(OPERATIONS[distribution], [tf.tensor1d([...shape], "int32"), own], {
      dtype: { type: "type", value: "float32" },
      T: { type: "type", value: "int32" },
      Tseed: { type: "type", value: "int32" },
    });
    return drawn as T;
  });
}
