/** Measures a network on a split. */
import type { Tensor1D } from "@tensorflow/tfjs-node-gpu";
import { type Batch, diceOfSums, type evaluationStep } from "../model/index.ts";
import type { Batch as VolumeBatch } from "../pipeline/index.ts";
import type { Tfjs } from "../tensorflow/index.ts";

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

/** A batch as tensors [N, X, Y, Z, C] and [N, X, Y, Z, 1], which share its memory; the caller disposes of them. */
export function batchTensors(tf: Tfjs, { images, labels, indices, shape }: VolumeBatch): Batch {
  const [x, y, z, channels] = shape;
  return {
    images: tf.tensor5d(images, [indices.length, x, y, z, channels], "float32"),
    truth: tf.tensor5d(labels, [indices.length, x, y, z, 1], "float32"),
  };
}

/**
 * @param batches of a split, in its order
 * @param stop asked between two batches; when true, null is returned
 */
export async function evaluate(
  tf: Tfjs,
  step: ReturnType<typeof evaluationStep>,
  model: { parameters: Tensor1D; statistics: Tensor1D },
  batches: AsyncIterable<VolumeBatch>,
  stop: () => boolean = () => false,
): Promise<Evaluation | null> {
  const perVolume: number[] = [];
  const classSums: number[] = [];
  let loss = 0;
  for await (const volumes of batches) {
    if (stop()) return null;
    const batch = batchTensors(tf, volumes);
    const { parameters, statistics } = model;
    const result = step({ parameters, statistics, batch });
    loss += (result.loss.dataSync()[0] as number) * volumes.indices.length;
    const { common, predicted, true: truth } = result.overlap;
    const classes = common.shape[1];
    const [a, b, c] = [common.dataSync(), predicted.dataSync(), truth.dataSync()];
    for (let volume = 0; volume < volumes.indices.length; volume++) {
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
    volumes.release();
  }
  const count = perVolume.length;
  const dice = perVolume.reduce((sum, own) => sum + own, 0) / count;
  return { dice, perClass: classSums.map((sum) => sum / count), loss: loss / count, perVolume };
}
