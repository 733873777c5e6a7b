/** Measures a network on a split. */
import type { Tensor1D, Tensor5D } from "@tensorflow/tfjs-node-gpu";
import type { Volume } from "../data/index.ts";
import { type Batch, diceOfSums, type evaluationStep } from "../model/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";
import { batches, type VolumeSource } from "./volumes.ts";

export interface Evaluation {
  /** Mean over the volumes of the Dice of each: mean over the foreground classes of prediction against truth. */
  dice: number;
  /** Mean over the volumes of the Dice of each foreground class, from class 1. */
  perClass: number[];
  /** Mean over the batches of the training's loss, weighted by their volumes. */
  loss: number;
  /** Dice of each volume, in the order of the split. */
  perVolume: number[];
}

/** With several foreground classes, the Dice of each as a metric: dice_1, dice_2 and so on. */
export function classMetrics({ perClass }: Evaluation, prefix = ""): Record<string, number> {
  if (perClass.length < 2) return {};
  return Object.fromEntries(perClass.map((dice, index) => [`${prefix}dice_${index + 1}`, dice]));
}

/** A batch as tensors [N, X, Y, Z, C] and [N, X, Y, Z, 1]; the caller disposes of them. */
export function batchTensors(tf: Tfjs, volumes: readonly Volume[]): Batch {
  const first = volumes[0];
  if (!first) throw new Error("an empty batch");
  const [x, y, z, channels] = first.imageShape;
  const joined = (pick: (volume: Volume) => Float32Array, last: number): Tensor5D => {
    const voxels = x * y * z * last;
    // TensorFlow takes the array itself, not a copy: a single volume is handed over as it lies in the cache.
    if (volumes.length === 1) return tf.tensor5d(pick(first), [1, x, y, z, last], "float32");
    const data = new Float32Array(volumes.length * voxels);
    for (const [index, volume] of volumes.entries()) data.set(pick(volume), index * voxels);
    return tf.tensor5d(data, [volumes.length, x, y, z, last], "float32");
  };
  return {
    images: joined((volume) => volume.image, channels),
    truth: joined((volume) => volume.label, 1),
  };
}

/** @param stop asked between two batches; when true, null is returned */
export async function evaluate(
  tf: Tfjs,
  step: ReturnType<typeof evaluationStep>,
  model: { parameters: Tensor1D; statistics: Tensor1D },
  source: VolumeSource,
  batchSize: number,
  stop: () => boolean = () => false,
): Promise<Evaluation | null> {
  const perVolume: number[] = [];
  const classSums: number[] = [];
  let loss = 0;
  for await (const volumes of batches(source.inOrder(), batchSize)) {
    if (stop()) return null;
    const batch = batchTensors(tf, volumes);
    const { parameters, statistics } = model;
    const result = step({ parameters, statistics, batch });
    loss += (result.loss.dataSync()[0] as number) * volumes.length;
    const { common, predicted, true: truth } = result.overlap;
    const classes = common.shape[1];
    const [a, b, c] = [common.dataSync(), predicted.dataSync(), truth.dataSync()];
    for (let volume = 0; volume < volumes.length; volume++) {
      let sum = 0;
      for (let index = 0; index < classes; index++) {
        const at = volume * classes + index;
        const dice = diceOfSums(a[at] as number, b[at] as number, c[at] as number);
        classSums[index] = (classSums[index] ?? 0) + dice;
        sum += dice;
      }
      perVolume.push(sum / classes);
    }
    tf.dispose([batch.images, batch.truth, result.loss, common, predicted, truth]);
  }
  const count = perVolume.length;
  const dice = perVolume.reduce((sum, own) => sum + own, 0) / count;
  return { dice, perClass: classSums.map((sum) => sum / count), loss: loss / count, perVolume };
}
