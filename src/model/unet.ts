/**
 * The 3D U-Net of Cicek et al. 2016 as DistMIS trains it: at each level two (convolution, norm, relu), max-pooling down,
 * transposed convolution up, the skip connection concatenated, and a last convolution to one logit a voxel.
 */
import type { Tensor, Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { ModelConfig } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import type { TensorFlow } from "../tensorflow/index.ts";
import { layers } from "./layers.ts";
import { type ParameterSpec, splitParameters } from "./parameters.ts";

/** What a training pass has beyond an inference pass. */
export interface TrainingPass {
  /** int32 [2], different for each step: seed of the random operations (dropout). */
  readonly seed: Tensor1D;
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
export function unet(runtime: TensorFlow, config: ModelConfig, channels: number, outputs: number): Network {
  const { tf } = runtime;
  const layer = layers(runtime);
  const { depth, kernel, norm } = config;
  if (norm === "group" && config.filters % config.groups !== 0) {
    throw new DistmisError(
      "CONFIG_INVALID",
      `model.groups: ${config.groups} groups don't divide model.filters, ${config.filters}: choose a divisor`,
    );
  }
  const parameters: ParameterSpec[] = [];
  const statistics: ParameterSpec[] = [];
  const filtersAt = (level: number) => config.filters * 2 ** level;
  const cube = [kernel, kernel, kernel];
  const addKernel = (name: string, from: number, to: number) =>
    parameters.push({
      name,
      shape: [...cube, from, to],
      initial: { deviation: config.initial_deviation },
    });
  const addConstant = (name: string, size: number, constant: number) =>
    parameters.push({ name, shape: [size], initial: { constant } });

  function addBlock(name: string, from: number, to: number): void {
    for (const [index, input] of [from, to].entries()) {
      addKernel(`${name}.conv${index}.kernel`, input, to);
      if (norm === "none") {
        addConstant(`${name}.conv${index}.bias`, to, 0);
        continue;
      }
      // The norm's offset stands for the convolution's bias, which it would cancel.
      addConstant(`${name}.norm${index}.scale`, to, 1);
      addConstant(`${name}.norm${index}.offset`, to, 0);
      if (norm === "batch") {
        statistics.push({
          name: `${name}.norm${index}.mean`,
          shape: [to],
          initial: { constant: 0 },
        });
        statistics.push({
          name: `${name}.norm${index}.variance`,
          shape: [to],
          initial: { constant: 1 },
        });
      }
    }
  }

  for (let level = 0; level < depth; level++) {
    addBlock(`down${level}`, level === 0 ? channels : filtersAt(level - 1), filtersAt(level));
  }
  addBlock("bottom", filtersAt(depth - 1), filtersAt(depth));
  for (let level = depth - 1; level >= 0; level--) {
    addKernel(`up${level}.transpose.kernel`, filtersAt(level), filtersAt(level + 1));
    addConstant(`up${level}.transpose.bias`, filtersAt(level), 0);
    addBlock(`up${level}`, 2 * filtersAt(level), filtersAt(level));
  }
  addKernel("output.kernel", filtersAt(0), outputs);
  addConstant("output.bias", outputs, 0);

  function apply(
    flat: Tensor1D,
    moving: Tensor1D,
    images: Tensor5D,
    training: TrainingPass | null,
  ): ReturnType<Network["apply"]> {
    const named = splitParameters(tf, parameters, flat);
    const averages = norm === "batch" ? splitParameters(tf, statistics, moving) : new Map<string, Tensor>();
    const updated: Tensor1D[] = [];
    const take = (name: string, from: Map<string, Tensor> = named): Tensor => {
      const found = from.get(name);
      if (!found) throw new Error(`no parameter ${name}`);
      return found;
    };
    const vector = (name: string, from?: Map<string, Tensor>) => take(name, from) as Tensor1D;

    function batchNorm(x: Tensor5D, name: string, scale: Tensor1D, offset: Tensor1D): Tensor5D {
      const mean = vector(`${name}.mean`, averages);
      const variance = vector(`${name}.variance`, averages);
      if (!training) return layer.batchNormInference(x, scale, offset, { mean, variance });
      const { output, statistics: batch } = layer.batchNorm(x, scale, offset);
      const past = config.norm_momentum;
      for (const [old, now] of [
        [mean, batch.mean],
        [variance, batch.variance],
      ] as const) {
        updated.push(old.mul(past).add(now.mul(1 - past)));
        now.dispose();
      }
      return output;
    }

    function normalised(x: Tensor5D, name: string): Tensor5D {
      const scale = vector(`${name}.scale`);
      const offset = vector(`${name}.offset`);
      return norm === "batch" ? batchNorm(x, name, scale, offset) : layer.groupNorm(x, scale, offset, config.groups);
    }

    function block(x: Tensor5D, name: string): Tensor5D {
      let y = x;
      for (const index of [0, 1]) {
        const convolved = layer.conv(y, take(`${name}.conv${index}.kernel`) as Tensor5D);
        const shifted =
          norm === "none"
            ? (convolved.add(vector(`${name}.conv${index}.bias`)) as Tensor5D)
            : normalised(convolved, `${name}.norm${index}`);
        y = layer.relu(shifted);
      }
      return y;
    }

    const skips: Tensor5D[] = [];
    let x = images;
    for (let level = 0; level < depth; level++) {
      const skip = block(x, `down${level}`);
      skips.push(skip);
      x = layer.maxPool(skip);
    }
    x = block(x, "bottom");
    for (let level = depth - 1; level >= 0; level--) {
      const wide = layer.convTranspose(x, take(`up${level}.transpose.kernel`) as Tensor5D);
      const biased = wide.add(vector(`up${level}.transpose.bias`)) as Tensor5D;
      x = block(tf.concat([biased, skips[level] as Tensor5D], 4), `up${level}`);
    }
    const logits = layer.conv(x, take("output.kernel") as Tensor5D).add(vector("output.bias")) as Tensor5D;
    return {
      logits,
      statistics: updated.length > 0 ? tf.concat1d(updated) : moving,
    };
  }

  return { outputs, parameters, statistics, apply };
}
