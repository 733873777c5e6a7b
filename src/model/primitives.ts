/**
 * The operations that the layers are made of, in channels-last order [N, X, Y, Z, C] (TensorFlow's NDHWC): on a CPU in
 * float32 with the kernels of native/kernels, elsewhere from TensorFlow's operations alone.
 */
import type { Tensor, Tensor2D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { Attribute, TensorFlow } from "../tensorflow/index.ts";

/**
 * What stands between a convolution and the next one: with z = scale * x + shift, z where z > 0, else slope * z. Scale and
 * shift are [N, C]; slope 0 is relu, 1 the identity.
 */
export interface ChannelAffine {
  readonly scale: Tensor2D;
  readonly shift: Tensor2D;
  readonly slope: number;
}

/** A tensor, or with an affine the activation of one, which is computed where it is read. */
export interface Source {
  readonly x: Tensor5D;
  readonly affine?: ChannelAffine | undefined;
}

/** Which side of a filter gradient was activated. */
export type ActivatedSide = "input" | "outer";

export interface Primitives {
  /** A convolution's input in the type that the convolutions have, in which it is kept for the backward pass. */
  stored(x: Tensor5D): Tensor5D;
  /**
   * Zero padding to the same size, divided by the stride. Kernel [k, k, k, in, out]. Of several inputs the channels follow
   * each other.
   */
  conv(inputs: readonly Source[], kernel: Tensor5D, stride: number): Tensor5D;
  /** Gradient of `conv` with respect to its input of this shape; with stride 2, the transposed convolution. */
  convInputGradient(shape: readonly number[], kernel: Tensor5D, outer: Tensor5D, stride: number): Tensor5D;
  /**
   * Gradient of `conv` with respect to its kernel of this side; `outer` is the gradient with respect to its output. One of
   * them may be given as what it was before an activation.
   */
  convKernelGradient(
    input: Tensor5D,
    side: number,
    outer: Tensor5D,
    stride: number,
    activated?: { side: ActivatedSide; affine: ChannelAffine },
  ): Tensor5D;
  /** Largest value of each 2 x 2 x 2 block. */
  maxPool(source: Source): Tensor5D;
  /** Gradient of `maxPool` with respect to what is pooled, the activation where there is one. */
  maxPoolGradient(source: Source, outer: Tensor5D): Tensor5D;
  /** Mean and biased variance [N, C] over the voxels. */
  moments(x: Tensor5D): { mean: Tensor2D; variance: Tensor2D };
  activate(x: Tensor5D, affine: ChannelAffine): Tensor5D;
  /** With g the gradient `outer` behind the activation: sums [N, C] over the voxels of g and of g * (x - mean). */
  activationSums(
    x: Tensor5D,
    outer: Tensor5D,
    affine: ChannelAffine,
    mean: Tensor2D,
  ): { sum: Tensor2D; product: Tensor2D };
  /** scale * g + p * x + q, with p and q [N, C]. */
  activationGradient(x: Tensor5D, outer: Tensor5D, affine: ChannelAffine, p: Tensor2D, q: Tensor2D): Tensor5D;
}

const float: Attribute = { type: "type", value: "float32" };

/**
 * `normal`: what is cheap to compute is computed where it is read on a CPU, but kept for the backward pass on a GPU, where
 * TensorFlow's operations ask for a tensor. `low`: computed again on a GPU too, and gradients one after the other.
 */
export type MemoryUse = "normal" | "low";

/** Type of the convolutions and of what is kept between them. */
export type Precision = "float32" | "bfloat16" | "float16";

/** For this machine: with kernels of our own where everything runs on a CPU. */
export function primitives(runtime: TensorFlow, memory: MemoryUse): Primitives {
  const general = composed(runtime, memory);
  const onGpu = runtime.devices.some(({ type }) => type === "GPU");
  return onGpu ? general : native(runtime, general);
}

/** Whether a convolution has another one as its input's gradient, by the mirrored kernel: oneDNN's own takes longer. */
const isOrdinary = (kernel: Tensor5D, stride: number) => stride === 1 && kernel.shape[0] % 2 === 1;
const mirrored = (kernel: Tensor5D): Tensor5D => kernel.reverse([0, 1, 2]).transpose<Tensor5D>([0, 1, 2, 4, 3]);

const only = <T extends Tensor>(tensors: Tensor[]): T => tensors[0] as T;

/** From TensorFlow's operations, for any device, with the convolutions in this type. */
export function composed(
  { tf, rawOp, after }: TensorFlow,
  memory: MemoryUse,
  precision: Precision = "float32",
): Primitives {
  const attributes = (stride: number): Record<string, Attribute> => ({
    T: { type: "type", value: precision },
    strides: { type: "int", value: [1, stride, stride, stride, 1] },
    padding: { type: "string", value: "SAME" },
    data_format: { type: "string", value: "NDHWC" },
    dilations: { type: "int", value: [1, 1, 1, 1, 1] },
  });
  const pooling: Record<string, Attribute> = {
    T: float,
    ksize: { type: "int", value: [1, 2, 2, 2, 1] },
    strides: { type: "int", value: [1, 2, 2, 2, 1] },
    padding: { type: "string", value: "VALID" },
    data_format: { type: "string", value: "NDHWC" },
  };
  const sizes = (shape: readonly number[]) => tf.tensor1d([...shape], "int32");
  const voxelwise = (perChannel: Tensor2D): Tensor5D => {
    const [n, c] = perChannel.shape;
    return perChannel.reshape([n, 1, 1, 1, c]);
  };
  const overVoxels = [1, 2, 3];
  const linear = (x: Tensor5D, { scale, shift }: ChannelAffine) => x.mul(voxelwise(scale)).add(voxelwise(shift));
  const passed = (x: Tensor5D, outer: Tensor5D, affine: ChannelAffine): Tensor5D => {
    if (affine.slope === 1) return outer;
    const z = linear(x, affine);
    if (affine.slope === 0) return only(rawOp("ReluGrad", [outer, z], { T: float }));
    return only(rawOp("LeakyReluGrad", [outer, z], { T: float, alpha: { type: "float", value: affine.slope } }));
  };

  const value = ({ x, affine }: Source): Tensor5D => (affine ? own.activate(x, affine) : x);
  /** In a backward pass that has come to these tensors. */
  const again = (reached: readonly Tensor5D[], source: Source): Tensor5D =>
    memory === "low" ? after(reached, () => value(source)) : value(source);
  const pooled = (x: Tensor5D): Tensor5D => only(rawOp("MaxPool3D", [x], pooling));

  const own: Primitives = {
    stored: (x) => x,
    conv: (inputs, kernel, stride) => {
      const values = inputs.map(value);
      const x = values.length === 1 ? (values[0] as Tensor5D) : tf.concat(values, 4);
      return only(rawOp("Conv3D", [x, kernel], attributes(stride)));
    },
    convInputGradient: (shape, kernel, outer, stride) => {
      if (isOrdinary(kernel, stride)) return own.conv([{ x: outer }], mirrored(kernel), 1);
      return only(
        rawOp("Conv3DBackpropInputV2", [sizes(shape), kernel, outer], {
          ...attributes(stride),
          Tshape: { type: "type", value: "int32" },
        }),
      );
    },
    convKernelGradient: (input, side, outer, stride, activated) => {
      const { side: which, affine } = activated ?? {};
      // The other side is what the backward pass has just come to.
      const x = which === "input" && affine ? again([outer], { x: input, affine }) : input;
      const y = which === "outer" && affine ? again([input], { x: outer, affine }) : outer;
      const shape = sizes([side, side, side, input.shape[4], outer.shape[4]]);
      return only(rawOp("Conv3DBackpropFilterV2", [x, shape, y], attributes(stride)));
    },
    maxPool: (source) => pooled(value(source)),
    maxPoolGradient: (source, outer) => {
      const x = again([outer], source);
      return only(rawOp("MaxPool3DGrad", [x, pooled(x), outer], { ...pooling, TInput: float }));
    },
    moments: (x) => {
      const mean = x.mean(overVoxels) as Tensor2D;
      return { mean, variance: x.sub(voxelwise(mean)).square().mean(overVoxels) as Tensor2D };
    },
    activate: (x, affine) => {
      const z = linear(x, affine) as Tensor5D;
      if (affine.slope === 1) return z;
      return affine.slope === 0 ? z.relu() : z.leakyRelu(affine.slope);
    },
    activationSums: (x, outer, affine, mean) => {
      const g = passed(x, outer, affine);
      return {
        sum: g.sum(overVoxels) as Tensor2D,
        product: g.mul(x.sub(voxelwise(mean))).sum(overVoxels) as Tensor2D,
      };
    },
    activationGradient: (x, outer, affine, p, q) =>
      passed(x, outer, affine)
        .mul(voxelwise(affine.scale))
        .add(x.mul(voxelwise(p)).add(voxelwise(q))) as Tensor5D,
  };
  return own;
}

/** With the kernels of native/kernels. */
function native(runtime: TensorFlow, general: Primitives): Primitives {
  const { rawOp, after, fasterFilterGradient, fasterConvolution } = runtime;
  const slopeOf = ({ slope }: ChannelAffine): Attribute => ({ type: "float", value: slope });
  const activate: Primitives["activate"] = (x, affine) =>
    only(rawOp("DistmisScaleShift", [x, affine.scale, affine.shift], { slope: slopeOf(affine) }));
  const coefficients = ({ affine }: Source) => (affine ? [affine.scale, affine.shift] : []);
  const activation = (source: Source): Record<string, Attribute> => ({
    n: { type: "int", value: coefficients(source).length },
    ...(source.affine && { slope: slopeOf(source.affine) }),
  });
  const own: Primitives = {
    stored: (x) => x,
    conv: (inputs, kernel, stride) => {
      if (!isOrdinary(kernel, stride) || !fasterConvolution(kernel.shape[4])) {
        const values = inputs.map(({ x, affine }) => ({ x: affine ? activate(x, affine) : x }));
        return general.conv(values, kernel, stride);
      }
      const all = inputs.flatMap(coefficients);
      return only(
        rawOp("DistmisConv3D", [...inputs.map(({ x }) => x), kernel, ...all], {
          m: { type: "int", value: inputs.length },
          n: { type: "int", value: all.length },
          activated: { type: "bool", value: inputs.map(({ affine }) => affine !== undefined) },
          slopes: { type: "float", value: inputs.map(({ affine }) => affine?.slope ?? 0) },
        }),
      );
    },
    convInputGradient: (shape, kernel, outer, stride) =>
      isOrdinary(kernel, stride)
        ? own.conv([{ x: outer }], mirrored(kernel), 1)
        : general.convInputGradient(shape, kernel, outer, stride),
    convKernelGradient: (input, side, outer, stride, activated) => {
      const affine = activated?.affine;
      if (!fasterFilterGradient(input.shape[4], outer.shape[4], stride)) {
        // Computed again once the backward pass has come to the other side, not kept.
        const x = activated?.side === "input" && affine ? after([outer], () => activate(input, affine)) : input;
        const y = activated?.side === "outer" && affine ? after([input], () => activate(outer, affine)) : outer;
        return general.convKernelGradient(x, side, y, stride);
      }
      const values = affine ? [affine.scale, affine.shift] : [];
      return only(
        rawOp("DistmisConv3DFilterGradient", [input, outer, ...values], {
          kernel: { type: "int", value: [side, side, side] },
          stride: { type: "int", value: stride },
          n: { type: "int", value: values.length },
          activated: { type: "string", value: activated?.side ?? "none" },
          ...(affine && { slope: slopeOf(affine) }),
        }),
      );
    },
    maxPool: (source) => only(rawOp("DistmisMaxPool", [source.x, ...coefficients(source)], activation(source))),
    maxPoolGradient: (source, outer) =>
      only(rawOp("DistmisMaxPoolGradient", [source.x, outer, ...coefficients(source)], activation(source))),
    moments: (x) => {
      const [mean, variance] = rawOp("DistmisMoments", [x], {}, 2) as [Tensor2D, Tensor2D];
      return { mean, variance };
    },
    activate,
    activationSums: (x, outer, affine, mean) => {
      const inputs = [x, outer, affine.scale, affine.shift, mean];
      const [sum, product] = rawOp("DistmisScaleShiftSums", inputs, { slope: slopeOf(affine) }, 2) as [
        Tensor2D,
        Tensor2D,
      ];
      return { sum, product };
    },
    activationGradient: (x, outer, affine, p, q) =>
      only(
        rawOp("DistmisScaleShiftGradient", [x, outer, affine.scale, affine.shift, p, q], { slope: slopeOf(affine) }),
      ),
  };
  return own;
}
