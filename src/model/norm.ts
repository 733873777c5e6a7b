/**
 * Batch, group and instance norm as one thing: mean and variance of each sample and channel, pooled over the batch, over
 * groups of channels, or not at all. They become one scale and shift for each sample and channel, by which the activation
 * is computed, so that neither a normalised nor an activated tensor is needed by a backward pass.
 */
import type { Scalar, Tensor1D, Tensor2D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { ModelConfig } from "../config/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";
import type { ChannelAffine, Primitives } from "./primitives.ts";

/** Keras's default: added to a variance before its root is taken. */
export const NORM_EPSILON = 1e-3;

export interface BatchStatistics {
  /** [C] */
  mean: Tensor1D;
  /** [C], biased (divided by the number of voxels), as in Keras 3's moving variance. */
  variance: Tensor1D;
}

export interface OverReplicas {
  /** Mean [1, C] over the samples of all replicas, of the mean [1, C] over this replica's. */
  mean(own: Tensor2D): Tensor2D;
  /** 1, or 0 where this replica's samples stand in for none. */
  counts(): Scalar;
}

/** What is between a convolution's output and the next layer. */
export interface NormActivation {
  /** [C]; null where there is no norm. */
  readonly scale: Tensor1D | null;
  /** [C]: the norm's offset, or the convolution's bias. */
  readonly offset: Tensor1D;
  /** Of z below 0: 0 is relu, 1 no activation. */
  readonly slope: number;
  /** Used in place of the batch's own, for inference with batch norm. */
  readonly moving?: BatchStatistics;
  /** With batch norm, where its statistics are those of all replicas' samples. */
  readonly overReplicas?: OverReplicas | undefined;
  /** [N, C], 0 or 1 / (1 - rate): dropout of whole channels, as Keras's SpatialDropout3D. */
  readonly mask?: Tensor2D | undefined;
}

/** Pooled statistics [N, C] and what follows from them. */
export interface Normalisation {
  readonly affine: ChannelAffine;
  readonly mean: Tensor2D;
  /** 1 / standard deviation. */
  readonly inverse: Tensor2D;
}

export interface Norms {
  /** `statistics` is null where the layer does not normalise, or by moving statistics. */
  forward(x: Tensor5D, norm: NormActivation): Normalisation & { statistics: BatchStatistics | null };
  /** Gradients with respect to x, scale [C] and offset [C], `outer` being that with respect to the activation. */
  backward(
    x: Tensor5D,
    outer: Tensor5D,
    norm: NormActivation,
    normalisation: Normalisation,
  ): { x: Tensor5D; scale: Tensor1D; offset: Tensor1D };
}

export function norms(tf: Tfjs, primitives: Primitives, kind: ModelConfig["norm"], groups: number): Norms {
  /** Mean over those that are normalised together, for each of them: [N, C] to [N, C]. */
  function pooled(perChannel: Tensor2D, { overReplicas }: NormActivation): Tensor2D {
    const [n, c] = perChannel.shape;
    if (kind === "batch") {
      const own = n === 1 ? perChannel : perChannel.mean<Tensor2D>(0, true);
      const mean = overReplicas ? overReplicas.mean(own) : own;
      return n === 1 ? mean : mean.tile([n, 1]);
    }
    if (kind !== "group" || groups === c) return perChannel;
    const inGroup = c / groups;
    return perChannel.reshape([n, groups, inGroup]).mean(2, true).tile([1, 1, inGroup]).reshape([n, c]);
  }
  const masked = (values: Tensor2D, mask: Tensor2D | undefined): Tensor2D =>
    mask ? values.mul<Tensor2D>(mask) : values;
  const rows = (values: Tensor1D, n: number) => values.expandDims<Tensor2D>(0).tile<Tensor2D>([n, 1]);

  function coefficients(scale: Tensor1D, offset: Tensor1D, mean: Tensor2D, variance: Tensor2D) {
    const inverse = variance.add(NORM_EPSILON).rsqrt() as Tensor2D;
    const factor = inverse.mul(scale) as Tensor2D;
    return { inverse, scale: factor, shift: tf.sub(offset, mean.mul(factor)) as Tensor2D };
  }

  function forward(x: Tensor5D, norm: NormActivation): ReturnType<Norms["forward"]> {
    const { scale, offset, slope, moving, mask } = norm;
    const [n, , , , c] = x.shape;
    const affine = (factor: Tensor2D, shift: Tensor2D) => ({
      scale: masked(factor, mask),
      shift: masked(shift, mask),
      slope,
    });
    if (scale === null) {
      const one = tf.ones([n, c]) as Tensor2D;
      return { affine: affine(one, rows(offset, n)), mean: tf.zeros([n, c]), inverse: one, statistics: null };
    }
    if (moving) {
      const [mean, variance] = [rows(moving.mean, n), rows(moving.variance, n)];
      const { inverse, ...made } = coefficients(scale, offset, mean, variance);
      return { affine: affine(made.scale, made.shift), mean, inverse, statistics: null };
    }
    const own = primitives.moments(x);
    const mean = pooled(own.mean, norm);
    // The variance of the whole is the mean of the parts' variances and the variance of their means.
    const variance = pooled(own.variance.add<Tensor2D>(own.mean.sub(mean).square()), norm);
    const { inverse, ...made } = coefficients(scale, offset, mean, variance);
    const first = (values: Tensor2D) => values.slice([0, 0], [1, c]).reshape([c]) as Tensor1D;
    return {
      affine: affine(made.scale, made.shift),
      mean,
      inverse,
      statistics: kind === "batch" ? { mean: first(mean), variance: first(variance) } : null,
    };
  }

  function backward(
    x: Tensor5D,
    outer: Tensor5D,
    norm: NormActivation,
    { affine, mean, inverse }: Normalisation,
  ): ReturnType<Norms["backward"]> {
    const { scale, mask } = norm;
    const sums = primitives.activationSums(x, outer, affine, mean);
    const sum = masked(sums.sum, mask);
    const normalised = masked(sums.product, mask).mul<Tensor2D>(inverse);
    const gradients = { scale: normalised.sum(0) as Tensor1D, offset: sum.sum(0) as Tensor1D };
    if (scale === null) {
      const none = tf.zerosLike(mean);
      return { ...gradients, x: primitives.activationGradient(x, outer, affine, none, none) };
    }
    const [, a, b, c] = x.shape;
    const voxels = a * b * c;
    // What depends on this replica's samples through the statistics: nothing where they are not among them.
    const counted = (values: Tensor2D) =>
      norm.overReplicas ? values.mul<Tensor2D>(norm.overReplicas.counts()) : values;
    const mean1 = pooled(sum.mul<Tensor2D>(scale), norm).div<Tensor2D>(voxels);
    const mean2 = pooled(normalised.mul<Tensor2D>(scale), norm).div<Tensor2D>(voxels);
    // dx = inverse (scale g - mean1 - normalised x mean2), with normalised x = (x - mean) inverse.
    const slant = inverse.square().mul<Tensor2D>(counted(mean2));
    const base = slant.mul<Tensor2D>(mean).sub<Tensor2D>(inverse.mul(counted(mean1)));
    return { ...gradients, x: primitives.activationGradient(x, outer, affine, slant.neg(), base) };
  }

  return { forward, backward };
}
