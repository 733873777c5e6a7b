/**
 * The operations of primitives.ts in mixed precision (Micikevicius et al. 2018), for traced functions: convolutions and their
 * gradients, and what is kept between them, in a 16-bit type; norms and activations in float32. The conversions are not here:
 * a traced tensor is converted to the type that an operation asks for, see tensorflow/binding.ts.
 */
import type { Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { Attribute, TensorFlow } from "../tensorflow/index.ts";
import { composed, type Precision, type Primitives, primitives, type Source } from "./primitives.ts";

export function mixedPrimitives(runtime: TensorFlow, precision: Exclude<Precision, "float32">): Primitives {
  const { tf, rawOp, after } = runtime;
  const half: Attribute = { type: "type", value: precision };
  // What is computed again in the backward pass waits for it here, not there.
  const convolutions = composed(runtime, "normal", precision);
  const others = primitives(runtime, "normal");
  const stored = (x: Tensor5D): Tensor5D => rawOp("Identity", [x], { T: half })[0] as Tensor5D;
  const value = ({ x, affine }: Source): Tensor5D => (affine ? stored(others.activate(x, affine)) : x);

  const concatenated = (values: readonly Tensor5D[]): Tensor5D =>
    rawOp("ConcatV2", [...values, tf.scalar(4, "int32")], {
      N: { type: "int", value: values.length },
      T: half,
      Tidx: { type: "type", value: "int32" },
    })[0] as Tensor5D;

  return {
    stored,
    conv: (inputs, kernel, stride) => {
      const values = inputs.map(value);
      const x = values.length === 1 ? (values[0] as Tensor5D) : concatenated(values);
      return convolutions.conv([{ x }], kernel, stride);
    },
    convInputGradient: convolutions.convInputGradient,
    convKernelGradient: (input, side, outer, stride, activated) => {
      if (!activated) return convolutions.convKernelGradient(input, side, outer, stride);
      const { affine } = activated;
      return activated.side === "input"
        ? convolutions.convKernelGradient(
            after([outer], () => value({ x: input, affine })),
            side,
            outer,
            stride,
          )
        : convolutions.convKernelGradient(
            input,
            side,
            after([input], () => value({ x: outer, affine })),
            stride,
          );
    },
    maxPool: (source) => stored(others.maxPool(source)),
    // In the backward pass after what it has come to: else the float32 form of x would be kept from the forward pass.
    maxPoolGradient: (source, outer) => stored(after([outer], () => others.maxPoolGradient(source, outer))),
    moments: others.moments,
    activate: others.activate,
    activationSums: (x, outer, affine, mean) => after([outer], () => others.activationSums(x, outer, affine, mean)),
    activationGradient: (x, outer, affine, p, q) =>
      stored(after([outer], () => others.activationGradient(x, outer, affine, p, q))),
  };
}
