/**
 * The 3D U-Net of Cicek et al. 2016 as DistMIS trains it: at each level two (convolution, norm, relu), max-pooling down,
 * transposed convolution up, the skip connection concatenated, and a last convolution to the logits of each voxel. Options
 * make of it what its successors use: instance norm and leaky relu (nnU-Net, Isensee et al. 2021), residual blocks
 * (He et al. 2016), dropout of channels, nearest-neighbour upsampling.
 */
import type { Tensor, Tensor1D, Tensor2D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { ModelConfig } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { statelessRandom, type TensorFlow } from "../tensorflow/index.ts";
import { layers, type Pending, type Shared, type Signal } from "./layers.ts";
import type { NormActivation } from "./norm.ts";
import { type ParameterSpec, splitParameters } from "./parameters.ts";
import type { MemoryUse, Precision } from "./primitives.ts";
import { unetParameters } from "./unet-parameters.ts";

/** What a training pass has beyond an inference pass. */
export interface TrainingPass {
  /** int32 [2], different for each step: seed of the random operations (dropout). */
  readonly seed: Tensor1D;
  /** Where batch norm's statistics are those of all replicas' samples, see {@link NormActivation}. */
  readonly overReplicas?: NormActivation["overReplicas"];
}

export interface Network {
  /** Logits a voxel: 1 for a binary network (sigmoid), else one for each class, the background first (softmax). */
  readonly outputs: number;
  /** What is learnt, in the order of the flat vector. */
  readonly parameters: readonly ParameterSpec[];
  /** What is averaged over the batches and used in inference: batch norm's moving means and variances. */
  readonly statistics: readonly ParameterSpec[];
  /**
   * Logits [N, X, Y, Z, outputs] of images [N, X, Y, Z, C], and in a training pass the new moving statistics (flat; else
   * those that were given). X, Y and Z must be divisible by 2^depth.
   */
  apply(
    parameters: Tensor1D,
    statistics: Tensor1D,
    images: Tensor5D,
    training: TrainingPass | null,
  ): { logits: Tensor5D; statistics: Tensor1D };
}

/**
 * A U-Net for images of `channels` modalities with `outputs` logits a voxel.
 * @throws DistmisError CONFIG_INVALID where the groups don't divide the filters.
 */
export function unet(
  runtime: TensorFlow,
  config: ModelConfig,
  channels: number,
  outputs: number,
  memory: MemoryUse = "normal",
  precision: Precision = "float32",
): Network {
  const { tf } = runtime;
  const layer = layers(runtime, config, memory, precision);
  const { depth, norm } = config;
  if (norm === "group" && config.filters % config.groups !== 0) {
    throw new DistmisError(
      "CONFIG_INVALID",
      `model.groups: ${config.groups} groups don't divide model.filters, ${config.filters}: choose a divisor`,
    );
  }
  const slope = config.activation === "relu" ? 0 : config.negative_slope;
  const { parameters, statistics } = unetParameters(config, channels, outputs);

  function apply(
    flat: Tensor1D,
    moving: Tensor1D,
    images: Tensor5D,
    training: TrainingPass | null,
  ): ReturnType<Network["apply"]> {
    const named = splitParameters(tf, parameters, flat);
    const averages = norm === "batch" ? splitParameters(tf, statistics, moving) : new Map<string, Tensor>();
    const updated = new Map<string, Tensor1D>();
    const take = <T extends Tensor>(name: string, from: Map<string, Tensor> = named): T => {
      const found = from.get(name);
      if (!found) throw new Error(`no parameter ${name}`);
      return found as T;
    };

    /** Dropout's factor for each sample and channel. */
    let masks = 0;
    function mask(samples: number, width: number): Tensor2D | undefined {
      if (!training || config.dropout === 0) return undefined;
      // The same step of another layer draws other numbers.
      const uniform = statelessRandom<Tensor2D>(runtime, "uniform", [samples, width], training.seed, ++masks);
      const kept = uniform.greaterEqual(config.dropout);
      return kept.toFloat().div<Tensor2D>(1 - config.dropout);
    }

    function pending(raw: Tensor5D, name: string, index: number, slopeAfter: number, drop: boolean): Pending {
      const [samples, , , , width] = raw.shape;
      const dropped = drop ? { mask: mask(samples, width) } : {};
      if (norm === "none") {
        const offset = take<Tensor1D>(`${name}.conv${index}.bias`);
        return { raw, norm: { scale: null, offset, slope: slopeAfter, ...dropped } };
      }
      const layerName = `${name}.norm${index}`;
      const [scale, offset] = [take<Tensor1D>(`${layerName}.scale`), take<Tensor1D>(`${layerName}.offset`)];
      const normalisation = { scale, offset, slope: slopeAfter, ...dropped };
      if (norm !== "batch") return { raw, norm: normalisation };
      const old = {
        mean: take<Tensor1D>(`${layerName}.mean`, averages),
        variance: take<Tensor1D>(`${layerName}.variance`, averages),
      };
      if (!training) return { raw, norm: { ...normalisation, moving: old } };
      const past = config.norm_momentum;
      return {
        raw,
        norm: { ...normalisation, overReplicas: training.overReplicas },
        onStatistics: (batch) => {
          for (const key of ["mean", "variance"] as const) {
            updated.set(`${layerName}.${key}`, tf.keep(old[key].mul(past).add<Tensor1D>(batch[key].mul(1 - past))));
            batch[key].dispose();
          }
        },
      };
    }

    /** Two convolutions, the second one's norm and activation still to come unless the block is residual. */
    function block(first: Tensor5D, name: string, shortcut: () => Tensor5D): Signal {
      const inner = pending(first, name, 0, slope, false);
      const second = layer.conv(inner, take(`${name}.conv1.kernel`));
      if (!config.residual) return pending(second, name, 1, slope, true);
      const sum = layer.value(pending(second, name, 1, 1, true)).add<Tensor5D>(shortcut());
      return layer.activation(sum, slope);
    }

    const blockOf = (x: Signal, name: string): Signal => {
      const input = config.residual ? layer.value(x) : x;
      return block(layer.conv(input, take(`${name}.conv0.kernel`)), name, () =>
        layer.conv(input, take(`${name}.shortcut.kernel`)),
      );
    };

    function up(x: Signal, name: string): Tensor5D {
      const wide =
        config.upsampling === "transpose"
          ? layer.convTranspose(x, take(`${name}.transpose.kernel`))
          : layer.conv(layer.upsample(layer.value(x)), take(`${name}.transpose.kernel`));
      return layer.bias(wide, take(`${name}.transpose.bias`));
    }

    const skips: Shared[] = [];
    let x: Signal = images;
    for (let level = 0; level < depth; level++) {
      const skip = layer.shared(blockOf(x, `down${level}`));
      skips.push(skip);
      x = layer.maxPool(skip);
    }
    x = blockOf(x, "bottom");
    for (let level = depth - 1; level >= 0; level--) {
      const name = `up${level}`;
      const [wide, skip] = [up(x, name), skips[level] as Shared];
      const first = layer.convPair(wide, skip, take(`${name}.conv0.kernel`));
      x = block(first, name, () => layer.convPair(wide, skip, take(`${name}.shortcut.kernel`)));
    }
    const logits = layer.bias(layer.conv(x, take("output.kernel")), take("output.bias"));
    const inOrder = statistics.map(({ name }) => updated.get(name)).filter((value) => value !== undefined);
    const moved = inOrder.length > 0 ? tf.concat1d(inOrder) : moving;
    tf.dispose(inOrder);
    for (const { source } of skips) if (source.affine) tf.dispose([source.affine.scale, source.affine.shift]);
    return { logits, statistics: moved };
  }

  return { outputs, parameters, statistics, apply };
}
