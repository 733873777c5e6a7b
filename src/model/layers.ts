/**
 * The layers of a 3D network as functions over tensors in channels-last order [N, X, Y, Z, C] (TensorFlow's NDHWC), with
 * the gradients that tfjs 4.22 lacks or has at a higher cost. All work eagerly and while traced.
 */
import type { Tensor, Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { Attribute, TensorFlow } from "../tensorflow/index.ts";

/** Keras's default: added to a variance before its root is taken. */
export const NORM_EPSILON = 1e-3;

const float: Attribute = { type: "type", value: "float32" };

export interface BatchStatistics {
  /** [C] */
  mean: Tensor1D;
  /** [C], biased (divided by the number of voxels), as in Keras 3's moving variance. */
  variance: Tensor1D;
}

export interface Layers {
  /** Convolution, stride 1, zero padding to the same size. Kernel [k, k, k, in, out]. */
  conv(x: Tensor5D, kernel: Tensor5D): Tensor5D;
  /** Transposed convolution, stride 2, doubling each side. Kernel [k, k, k, out, in], as in Keras. */
  convTranspose(x: Tensor5D, kernel: Tensor5D): Tensor5D;
  /** Largest value of each 2 x 2 x 2 block. */
  maxPool(x: Tensor5D): Tensor5D;
  relu(x: Tensor5D): Tensor5D;
  /** Batch norm by the statistics of this batch, which it also returns. Scale and offset [C]. */
  batchNorm(x: Tensor5D, scale: Tensor1D, offset: Tensor1D): { output: Tensor5D; statistics: BatchStatistics };
  /** Batch norm by given statistics [C], for inference. No gradient. */
  batchNormInference(x: Tensor5D, scale: Tensor1D, offset: Tensor1D, statistics: BatchStatistics): Tensor5D;
  /** Group norm (Wu and He 2018): each sample by the statistics of its groups of channels. Scale and offset [C]. */
  groupNorm(x: Tensor5D, scale: Tensor1D, offset: Tensor1D, groups: number): Tensor5D;
}

export function layers({ tf, rawOp }: TensorFlow): Layers {
  const convAttributes = (stride: number): Record<string, Attribute> => ({
    T: float,
    strides: { type: "int", value: [1, stride, stride, stride, 1] },
    padding: { type: "string", value: "SAME" },
    data_format: { type: "string", value: "NDHWC" },
    dilations: { type: "int", value: [1, 1, 1, 1, 1] },
  });
  const one = (tensors: Tensor[]) => tensors[0] as Tensor;
  const conv = (x: Tensor, kernel: Tensor, stride: number) => one(rawOp("Conv3D", [x, kernel], convAttributes(stride)));
  /** Gradient of a convolution with respect to its input, or a transposed convolution. */
  const convInputGradient = (shape: readonly number[], kernel: Tensor, dy: Tensor, stride: number) =>
    one(
      rawOp("Conv3DBackpropInputV2", [tf.tensor1d([...shape], "int32"), kernel, dy], {
        ...convAttributes(stride),
        Tshape: { type: "type", value: "int32" },
      }),
    );
  const convKernelGradient = (x: Tensor, shape: readonly number[], dy: Tensor, stride: number) =>
    one(rawOp("Conv3DBackpropFilterV2", [x, tf.tensor1d([...shape], "int32"), dy], convAttributes(stride)));

  const convLayer = tf.customGrad((x, kernel, save) => {
    const input = x as Tensor;
    const filter = kernel as Tensor;
    (save as (tensors: Tensor[]) => void)([input, filter]);
    return {
      value: conv(input, filter, 1),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [a, w] = saved as [Tensor, Tensor];
        return [convInputGradient(a.shape, w, dy, 1), convKernelGradient(a, w.shape, dy, 1)];
      },
    };
  });

  const convTransposeLayer = tf.customGrad((x, kernel, save) => {
    const input = x as Tensor;
    const filter = kernel as Tensor;
    (save as (tensors: Tensor[]) => void)([input, filter]);
    const [n, a, b, c] = input.shape as [number, number, number, number];
    const out = filter.shape[3] as number;
    return {
      value: convInputGradient([n, 2 * a, 2 * b, 2 * c, out], filter, input, 2),
      // It is the gradient of a convolution from large to small: its own gradients are that convolution's.
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [small, w] = saved as [Tensor, Tensor];
        return [conv(dy, w, 2), convKernelGradient(dy, w.shape, small, 2)];
      },
    };
  });

  const reluLayer = tf.customGrad((x, save) => {
    const y = one(rawOp("Relu", [x as Tensor], { T: float }));
    (save as (tensors: Tensor[]) => void)([y]);
    // tfjs's own gradient goes through IsNan and Select.
    return {
      value: y,
      gradFunc: (dy: Tensor, saved: Tensor[]) => one(rawOp("ReluGrad", [dy, saved[0] as Tensor], { T: float })),
    };
  });

  // FusedBatchNormV3 wants rank 4 [N, H, W, C]; folding X and Y into one is a reshape without a copy.
  const folded = (shape: readonly number[]): [number, number, number, number] => {
    const [n, x, y, z, c] = shape as [number, number, number, number, number];
    return [n, x * y, z, c];
  };
  const fusedAttributes = (training: boolean): Record<string, Attribute> => ({
    T: float,
    U: float,
    epsilon: { type: "float", value: NORM_EPSILON },
    data_format: { type: "string", value: "NHWC" },
    is_training: { type: "bool", value: training },
  });

  function batchNorm(x: Tensor5D, scale: Tensor1D, offset: Tensor1D): ReturnType<Layers["batchNorm"]> {
    let statistics: BatchStatistics | undefined;
    const layer = tf.customGrad((input, gamma, beta, save) => {
      const value = input as Tensor;
      const x4 = value.reshape(folded(value.shape));
      const none = tf.tensor1d([], "float32");
      const attributes = {
        ...fusedAttributes(true),
        exponential_avg_factor: { type: "float", value: 1 } as const,
      };
      const results = rawOp("FusedBatchNormV3", [x4, gamma as Tensor, beta as Tensor, none, none], attributes, 6);
      const [y, mean, variance, reserve1, reserve2, reserve3] = results as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      const count = value.size / (value.shape[4] as number);
      // The operation returns the unbiased variance. keep: these leave the gradient's scope by a side door.
      statistics = {
        mean: tf.keep(mean.clone()) as Tensor1D,
        variance: tf.keep(variance.mul((count - 1) / count)) as Tensor1D,
      };
      (save as (tensors: Tensor[]) => void)([x4, gamma as Tensor, reserve1, reserve2, reserve3]);
      return {
        value: y.reshape(value.shape),
        gradFunc: (dy: Tensor, saved: Tensor[]) => {
          const inputs = [dy.reshape((saved[0] as Tensor).shape), ...saved];
          const [dx, dscale, doffset] = rawOp("FusedBatchNormGradV3", inputs, fusedAttributes(true), 5) as [
            Tensor,
            Tensor,
            Tensor,
          ];
          return [dx.reshape(dy.shape), dscale, doffset];
        },
      };
    });
    const output = layer(x, scale, offset) as Tensor5D;
    if (!statistics) throw new Error("batch norm ran without statistics");
    return { output, statistics };
  }

  function batchNormInference(
    x: Tensor5D,
    scale: Tensor1D,
    offset: Tensor1D,
    { mean, variance }: BatchStatistics,
  ): Tensor5D {
    const attributes = {
      ...fusedAttributes(false),
      exponential_avg_factor: { type: "float", value: 1 } as const,
    };
    return one(
      rawOp("FusedBatchNormV3", [x.reshape(folded(x.shape)), scale, offset, mean, variance], attributes, 6),
    ).reshape(x.shape);
  }

  function groupNorm(x: Tensor5D, scale: Tensor1D, offset: Tensor1D, groups: number): Tensor5D {
    const [n, , , , channels] = x.shape;
    const voxels = x.size / (n * channels);
    const perGroup = channels / groups;
    /** Mean over each group of what is given per channel [N, 1, C], back per channel. */
    const groupMean = (perChannel: Tensor): Tensor =>
      perChannel.reshape([n, groups, perGroup]).mean(2, true).tile([1, 1, perGroup]).reshape([n, 1, channels]);

    // Everything per voxel is a sum, or a product with a coefficient per sample and channel, so that the gradient needs
    // no more than x itself.
    const layer = tf.customGrad((input, gamma, beta, save) => {
      const value = input as Tensor;
      const x3 = value.reshape([n, voxels, channels]);
      const mean = groupMean(x3.mean(1, true));
      const variance = groupMean(x3.sub(mean).square().mean(1, true));
      const inverse = variance.add(NORM_EPSILON).rsqrt();
      const factor = inverse.mul((gamma as Tensor).reshape([1, 1, channels]));
      const shift = (beta as Tensor).reshape([1, 1, channels]).sub(mean.mul(factor));
      (save as (tensors: Tensor[]) => void)([x3, gamma as Tensor, mean, inverse]);
      return {
        value: x3.mul(factor).add(shift).reshape(value.shape),
        gradFunc: (dy: Tensor, saved: Tensor[]) => {
          const [a, g, mu, inv] = saved as [Tensor, Tensor, Tensor, Tensor];
          const d3 = dy.reshape([n, voxels, channels]);
          const sum = d3.sum(1, true);
          const sumNormalised = d3.mul(a.sub(mu)).sum(1, true).mul(inv);
          const gamma3 = g.reshape([1, 1, channels]);
          // Means over the group's voxels and channels of gamma dy, and of gamma dy times the normalised input.
          const mean1 = groupMean(sum.mul(gamma3).div(voxels));
          const mean2 = groupMean(sumNormalised.mul(gamma3).div(voxels));
          const slope = inv.square().mul(mean2);
          const dx = d3
            .mul(inv.mul(gamma3))
            .sub(a.mul(slope))
            .add(slope.mul(mu).sub(inv.mul(mean1)));
          return [dx.reshape(dy.shape), sumNormalised.sum([0, 1]), sum.sum([0, 1])];
        },
      };
    });
    return layer(x, scale, offset) as Tensor5D;
  }

  return {
    conv: (x, kernel) => convLayer(x, kernel) as Tensor5D,
    convTranspose: (x, kernel) => convTransposeLayer(x, kernel) as Tensor5D,
    maxPool: (x) => tf.maxPool3d(x, 2, 2, "valid"),
    relu: (x) => reluLayer(x) as Tensor5D,
    batchNorm,
    batchNormInference,
    groupNorm,
  };
}
