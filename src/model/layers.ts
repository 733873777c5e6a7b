/**
 * The layers of a 3D network as functions over tensors in channels-last order [N, X, Y, Z, C], with gradients that keep
 * as little as they can: between two convolutions only the first one's output, from which norm and activation follow.
 * All work eagerly and while traced.
 */
import type { Tensor, Tensor1D, Tensor2D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { ModelConfig } from "../config/index.ts";
import type { Attribute, TensorFlow } from "../tensorflow/index.ts";
import { mixedPrimitives } from "./mixed-primitives.ts";
import { type BatchStatistics, type NormActivation, norms } from "./norm.ts";
import { type ChannelAffine, type MemoryUse, type Precision, primitives, type Source } from "./primitives.ts";

/** A convolution's output, its norm and activation still to come. */
export interface Pending {
  readonly raw: Tensor5D;
  readonly norm: NormActivation;
  /** Receives the batch's statistics, which the caller disposes of. */
  readonly onStatistics?: ((statistics: BatchStatistics) => void) | undefined;
}

/**
 * An activation that several layers read. While traced nothing computes `value` unless somebody asks for it: it stands for
 * the activation in the gradients, and `source` is what the layers read.
 */
export interface Shared {
  readonly value: Tensor5D;
  readonly source: Source;
}

/** What a layer reads. */
export type Signal = Tensor5D | Pending;

export interface Layers {
  /** Convolution, stride 1, zero padding to the same size. Kernel [k, k, k, in, out]. */
  conv(x: Signal, kernel: Tensor5D): Tensor5D;
  /** Convolution of two tensors as if their channels were one after the other, a first. Kernel [k, k, k, in a + in b, out]. */
  convPair(a: Tensor5D, b: Shared, kernel: Tensor5D): Tensor5D;
  /** Transposed convolution, stride 2, doubling each side. Kernel [k, k, k, out, in], as in Keras. */
  convTranspose(x: Signal, kernel: Tensor5D): Tensor5D;
  /** The tensor itself: a pending norm and activation are computed. */
  value(x: Signal): Tensor5D;
  /** A bias [C] added to each voxel. */
  bias(x: Tensor5D, bias: Tensor1D): Tensor5D;
  /** For several readers. The caller disposes of the source's affine. */
  shared(x: Signal): Shared;
  /** Largest value of each 2 x 2 x 2 block. */
  maxPool(x: Shared): Tensor5D;
  /** Each voxel eight times: nearest-neighbour upsampling, doubling each side. */
  upsample(x: Tensor5D): Tensor5D;
  /** z where z > 0, else slope * z. */
  activation(x: Tensor5D, slope: number): Tensor5D;
}

type Save = (tensors: Tensor[]) => void;

const float: Attribute = { type: "type", value: "float32" };

const isPending = (signal: Signal): signal is Pending => "raw" in signal;

export function layers(
  runtime: TensorFlow,
  { norm: kind, groups }: Pick<ModelConfig, "norm" | "groups">,
  memory: MemoryUse,
  precision: Precision,
): Layers {
  const { tf, rawOp } = runtime;
  const ops = precision === "float32" ? primitives(runtime, memory) : mixedPrimitives(runtime, precision);
  const { forward, backward } = norms(tf, ops, kind, groups);

  /** An input's gradient waits for the kernel's where memory is short: then no more than one pair of tensors is at work. */
  const later = (kernels: readonly Tensor[], gradient: () => Tensor5D): Tensor5D =>
    memory === "low" ? runtime.after(kernels, gradient) : gradient();

  /** A layer with a kernel, whose input may be pending. */
  interface Convolution {
    /** With an affine, of the activation of x. */
    apply(x: Tensor5D, kernel: Tensor5D, affine?: ChannelAffine): Tensor5D;
    kernelGradient(x: Tensor5D, kernel: Tensor5D, outer: Tensor5D, affine?: ChannelAffine): Tensor5D;
    inputGradient(x: Tensor5D, kernel: Tensor5D, outer: Tensor5D): Tensor5D;
  }
  const side = (kernel: Tensor5D) => kernel.shape[0];
  const plain: Convolution = {
    apply: (x, kernel, affine) => ops.conv([{ x, affine }], kernel, 1),
    kernelGradient: (x, kernel, outer, affine) =>
      ops.convKernelGradient(x, side(kernel), outer, 1, affine && { side: "input", affine }),
    inputGradient: (x, kernel, outer) => ops.convInputGradient(x.shape, kernel, outer, 1),
  };
  // The gradient of a convolution from large to small: its own gradients are that convolution's.
  const transposed: Convolution = {
    apply: (x, kernel, affine) => {
      const [n, a, b, c] = x.shape;
      const activated = affine ? ops.activate(x, affine) : x;
      return ops.convInputGradient([n, 2 * a, 2 * b, 2 * c, kernel.shape[3]], kernel, activated, 2);
    },
    kernelGradient: (x, kernel, outer, affine) =>
      ops.convKernelGradient(outer, side(kernel), x, 2, affine && { side: "outer", affine }),
    inputGradient: (_, kernel, outer) => ops.conv([{ x: outer }], kernel, 2),
  };

  function convolved(layer: Convolution, x: Signal, kernel: Tensor5D): Tensor5D {
    if (isPending(x)) return pending(x, layer, kernel);
    const run = tf.customGrad((input, filter, save) => {
      const kept = ops.stored(input as Tensor5D);
      (save as Save)([kept, filter as Tensor]);
      return {
        value: layer.apply(kept, filter as Tensor5D),
        gradFunc: (dy: Tensor, saved: Tensor[]) => {
          const [a, w] = saved as [Tensor5D, Tensor5D];
          const dkernel = layer.kernelGradient(a, w, dy as Tensor5D);
          return [later([dkernel], () => layer.inputGradient(a, w, dy as Tensor5D)), dkernel];
        },
      };
    });
    return run(x, kernel) as Tensor5D;
  }

  /** Norm and activation, and with a layer that one after them; in one, so that what is between is not kept. */
  function pending(
    { raw, norm, onStatistics }: Pending,
    layer?: Convolution,
    kernel?: Tensor5D,
    onAffine?: (affine: ChannelAffine) => void,
  ): Tensor5D {
    const run = tf.customGrad((...args) => {
      const save = args.pop() as Save;
      const [input, offset, ...rest] = args as [Tensor5D, Tensor1D, ...Tensor[]];
      const scale = norm.scale && (rest[0] as Tensor1D);
      const filter = layer && (rest.at(-1) as Tensor5D);
      const given = { ...norm, scale, offset };
      const { statistics, affine, mean, inverse } = forward(input, given);
      if (statistics) {
        // keep: these leave the gradient's scope by a side door.
        onStatistics?.({ mean: tf.keep(statistics.mean), variance: tf.keep(statistics.variance) });
      }
      onAffine?.({ ...affine, scale: tf.keep(affine.scale.clone()), shift: tf.keep(affine.shift.clone()) });
      const { slope, mask } = norm;
      const small = [affine.scale, affine.shift, mean, inverse, ...(mask ? [mask] : [])];
      save([input, ...small, ...(scale ? [scale] : []), ...(filter ? [filter] : [])]);
      return {
        value: layer && filter ? layer.apply(input, filter, affine) : ops.activate(input, affine),
        gradFunc: (dy: Tensor, saved: Tensor[]) => {
          // tfjs disposes of what is in `saved` afterwards.
          const left = [...saved];
          const take = <T extends Tensor>() => left.shift() as T;
          const x = take<Tensor5D>();
          const known = { scale: take(), shift: take(), slope } as ChannelAffine;
          const at = { affine: known, mean: take(), inverse: take() } as Parameters<typeof backward>[3];
          const { overReplicas } = norm;
          const back = { offset, slope, overReplicas, mask: mask && take(), scale: scale && take() } as NormActivation;
          const outer = dy as Tensor5D;
          if (!layer) {
            const { x: dx, scale: dscale, offset: doffset } = backward(x, outer, back, at);
            return [dx, doffset, ...(scale ? [dscale] : [])];
          }
          const w = take<Tensor5D>();
          const dkernel = layer.kernelGradient(x, w, outer, known);
          const inner = later([dkernel], () => layer.inputGradient(x, w, outer));
          const { x: dx, scale: dscale, offset: doffset } = backward(x, inner, back, at);
          return [dx, doffset, ...(scale ? [dscale] : []), dkernel];
        },
      };
    });
    return run(raw, norm.offset, ...(norm.scale ? [norm.scale] : []), ...(kernel ? [kernel] : [])) as Tensor5D;
  }

  const part = (kernel: Tensor5D, from: number, channels: number): Tensor5D => {
    const [a, b, c, , out] = kernel.shape;
    return kernel.slice([0, 0, 0, from, 0], [a, b, c, channels, out]);
  };
  /** `saved` as a source again, see {@link parts}. */
  const sourceOf = (saved: readonly Tensor[], slope: number | undefined): Source => {
    const [x, scale, shift] = saved as [Tensor5D, Tensor2D, Tensor2D];
    return slope === undefined ? { x } : { x, affine: { scale, shift, slope } };
  };
  const parts = ({ x, affine }: Source): Tensor[] => (affine ? [x, affine.scale, affine.shift] : [x]);

  function convPair(a: Tensor5D, { value, source }: Shared, kernel: Tensor5D): Tensor5D {
    const slope = source.affine?.slope;
    const run = tf.customGrad((...args) => {
      const save = args.pop() as Save;
      const [given, , filter] = args as Tensor5D[] as [Tensor5D, Tensor5D, Tensor5D];
      const x = ops.stored(given);
      save([x, filter, ...parts(source)]);
      return {
        value: ops.conv([{ x }, source], filter, 1),
        gradFunc: (dy: Tensor, saved: Tensor[]) => {
          const [first, w, ...rest] = saved as [Tensor5D, Tensor5D, ...Tensor[]];
          const second = sourceOf(rest, slope);
          const outer = dy as Tensor5D;
          const channels = first.shape[4];
          const kernels = [part(w, 0, channels), part(w, channels, second.x.shape[4])] as const;
          const dkernels = [
            plain.kernelGradient(first, w, outer),
            plain.kernelGradient(second.x, w, outer, second.affine),
          ];
          return [
            later(dkernels, () => plain.inputGradient(first, kernels[0], outer)),
            later(dkernels, () => plain.inputGradient(second.x, kernels[1], outer)),
            tf.concat(dkernels, 3),
          ];
        },
      };
    });
    return run(a, value, kernel) as Tensor5D;
  }

  function maxPool({ value, source }: Shared): Tensor5D {
    const slope = source.affine?.slope;
    const run = tf.customGrad((_, save) => {
      (save as Save)(parts(source));
      return {
        value: ops.maxPool(source),
        gradFunc: (dy: Tensor, saved: Tensor[]) => ops.maxPoolGradient(sourceOf(saved, slope), dy as Tensor5D),
      };
    });
    return run(value) as Tensor5D;
  }

  function shared(x: Signal): Shared {
    if (!isPending(x)) return { value: x, source: { x } };
    let affine: ChannelAffine | undefined;
    const value = pending(x, undefined, undefined, (made) => {
      affine = made;
    });
    return { value, source: { x: x.raw, affine } };
  }

  const biased = tf.customGrad((x, bias) => ({
    value: rawOp("BiasAdd", [x as Tensor, bias as Tensor], { T: float })[0] as Tensor,
    gradFunc: (dy: Tensor) => [dy, rawOp("BiasAddGrad", [dy], { T: float })[0] as Tensor],
  }));

  const upsampled = tf.customGrad((x) => {
    const [n, a, b, c, channels] = (x as Tensor5D).shape;
    const twice = (value: Tensor, outer: number, inner: number) => value.reshape([outer, 1, inner]).tile([1, 2, 1]);
    const alongZ = twice(x as Tensor, n * a * b * c, channels);
    const alongY = twice(alongZ, n * a * b, 2 * c * channels);
    const alongX = twice(alongY, n * a, 4 * b * c * channels);
    return {
      value: alongX.reshape([n, 2 * a, 2 * b, 2 * c, channels]),
      gradFunc: (dy: Tensor) => tf.avgPool3d(dy as Tensor5D, 2, 2, "valid").mul(8),
    };
  });

  const activated = (slope: number) =>
    tf.customGrad((x, save) => {
      const attributes: Record<string, Attribute> = { T: float };
      if (slope !== 0) attributes.alpha = { type: "float", value: slope };
      const name = slope === 0 ? "Relu" : "LeakyRelu";
      const y = ops.stored(rawOp(name, [x as Tensor], attributes)[0] as Tensor5D);
      // y has the sign of x, which is all that the gradient asks for. tfjs's own goes through IsNan and Select.
      (save as Save)([y]);
      return {
        value: y,
        gradFunc: (dy: Tensor, saved: Tensor[]) =>
          rawOp(`${name}Grad`, [dy, saved[0] as Tensor], attributes)[0] as Tensor,
      };
    });

  return {
    conv: (x, kernel) => convolved(plain, x, kernel),
    convPair,
    convTranspose: (x, kernel) => convolved(transposed, x, kernel),
    value: (x) => (isPending(x) ? pending(x) : x),
    bias: (x, bias) => biased(x, bias) as Tensor5D,
    shared,
    maxPool,
    upsample: (x) => upsampled(x) as Tensor5D,
    activation: (x, slope) => activated(slope)(x) as Tensor5D,
  };
}
