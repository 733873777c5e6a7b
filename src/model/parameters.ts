/**
 * All parameters of a network in one flat float32 vector: the optimiser's update, the all-reduce and the checkpoint are
 * then one piece each instead of one for every layer.
 */
import type { Tensor, Tensor1D } from "@tensorflow/tfjs-node-gpu";
import type { Tfjs } from "../tensorflow/index.ts";

export interface ParameterSpec {
  /** Unique, dotted: "down0.conv1.kernel". */
  name: string;
  shape: readonly number[];
  /** Initial value: a constant, or a truncated normal of mean 0 with this standard deviation. */
  initial: { constant: number } | { deviation: number };
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);

/** Number of values in all parameters together. */
export function parameterCount(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
}

/** The initial flat vector; equal seeds give equal values. The caller disposes of it. */
export function initialParameters(tf: Tfjs, specs: readonly ParameterSpec[], seed: number): Tensor1D {
  if (specs.length === 0) return tf.tensor1d([], "float32");
  return tf.tidy(() =>
    tf.concat1d(
      specs.map(({ shape, initial }, index) => {
        const size = sizeOf(shape);
        if ("constant" in initial) return tf.fill([size], initial.constant) as Tensor1D;
        // tfjs's generator takes any number as seed; each parameter has its own stream.
        return tf.truncatedNormal([size], 0, initial.deviation, "float32", seed * 10_007 + index) as Tensor1D;
      }),
    ),
  );
}

/** The parameters by name, cut out of the flat vector; its gradient is the concatenation of theirs. */
export function splitParameters(tf: Tfjs, specs: readonly ParameterSpec[], flat: Tensor1D): Map<string, Tensor> {
  const pieces = tf.split(
    flat,
    specs.map((spec) => sizeOf(spec.shape)),
  );
  return new Map(specs.map((spec, index) => [spec.name, (pieces[index] as Tensor).reshape([...spec.shape])]));
}

/** The same cut for values on the JavaScript side; views, not copies. */
export function splitValues(specs: readonly ParameterSpec[], flat: Float32Array): Map<string, Float32Array> {
  let offset = 0;
  return new Map(
    specs.map((spec) => {
      const start = offset;
      offset += sizeOf(spec.shape);
      return [spec.name, flat.subarray(start, offset)];
    }),
  );
}
