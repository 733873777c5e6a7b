/** Measures a network on a split. */
import type { Tensor1D } from "@tensorflow/tfjs-node-gpu";
import { type Batch, diceOfSums, type evaluationStep } from "../model/index.ts";
import { inOrder, type Batch as VolumeBatch } from "../pipeline/index.ts";
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

/** What is evaluated. */
export interface EvaluationSplit {
  /** Volumes of the split. */
  volumes: number;
  /** Volumes of a batch; the last one may be smaller. */
  batchSize: number;
  /** Foreground classes. */
  classes: number;
}

/**
 * The positions of a split that one of several replicas evaluates: every n-th of its batches, so that all batches together are
 * those of one replica, whatever n.
 */
export function evaluatedBy({ volumes, batchSize }: EvaluationSplit, rank: number, replicas: number): number[] {
  return inOrder(volumes).filter((index) => Math.floor(index / batchSize) % replicas === rank);
}

/** What was evaluated, and the classes that the network has chosen, all with Z running fastest, but for the channels. */
export interface SeenVolume {
  /** Place in the split. */
  index: number;
  /** (X, Y, Z, C), valid during the call. */
  image: Float32Array;
  /** (X, Y, Z): places of the classes, valid during the call. */
  truth: Float32Array;
  /** (X, Y, Z): places of the classes, to be kept. */
  classes: Float32Array;
}

export interface EvaluationOptions {
  /** Asked between two batches; when true on any replica, the result is null. */
  stop?: () => boolean;
  /** Gets volumes of the split as they are evaluated. */
  see?: { volume: (index: number) => boolean; chosen: (seen: SeenVolume) => void };
  /** Sums over the replicas, where each evaluates its part; all get the same result. */
  sum?: (own: Float32Array) => Float32Array;
}

/** @param batches of the split in its order, or of this replica's part of it */
export async function evaluate(
  tf: Tfjs,
  step: ReturnType<typeof evaluationStep>,
  model: { parameters: Tensor1D; statistics: Tensor1D },
  batches: AsyncIterable<VolumeBatch>,
  split: EvaluationSplit,
  { stop = () => false, see, sum = (own) => own }: EvaluationOptions = {},
): Promise<Evaluation | null> {
  const { volumes, batchSize, classes } = split;
  const count = volumes * classes;
  // Of each volume and class the overlap's three sums, of each batch its loss, and whether to stop: 0 for what others measure, so
  // that sums over the replicas are exact.
  const [losses, stopped] = [3 * count, 3 * count + Math.ceil(volumes / batchSize)];
  const own = new Float32Array(stopped + 1);
  for await (const part of batches) {
    if (stop()) {
      part.release();
      own[stopped] = 1;
      break;
    }
    const batch = batchTensors(tf, part);
    const { parameters, statistics } = model;
    const result = step({ parameters, statistics, batch });
    const [first = 0] = part.indices;
    own.set(result.loss.dataSync<"float32">(), losses + Math.floor(first / batchSize));
    const { common, predicted, true: truth, chosen } = result.overlap;
    for (const [at, sums] of [common, predicted, truth].entries()) {
      own.set(sums.dataSync<"float32">(), at * count + first * classes);
    }
    if (see !== undefined && part.indices.some(see.volume)) {
      const voxels = chosen.dataSync<"float32">();
      const share = (of: Float32Array, at: number): Float32Array => {
        const size = of.length / part.indices.length;
        return of.subarray(at * size, (at + 1) * size);
      };
      for (const [at, index] of part.indices.entries()) {
        if (!see.volume(index)) continue;
        const [image, truth] = [share(part.images, at), share(part.labels, at)];
        see.chosen({ index, image, truth, classes: share(voxels, at).slice() });
      }
    }
    tf.dispose([batch.images, batch.truth, result.loss, common, predicted, truth, chosen]);
    part.release();
  }
  const all = sum(own);
  return all[stopped] === 0 ? evaluationOf(all, split) : null;
}

/** In the order of the split, whoever measured what. */
function evaluationOf(measured: Float32Array, { volumes, batchSize, classes }: EvaluationSplit): Evaluation {
  const count = volumes * classes;
  const at = (index: number) => measured[index] as number;
  const classSums: number[] = new Array(classes).fill(0);
  const perVolume = inOrder(volumes).map((volume) => {
    let sum = 0;
    for (let index = 0; index < classes; index++) {
      const place = volume * classes + index;
      const dice = diceOfSums(at(place), at(count + place), at(2 * count + place));
      classSums[index] = (classSums[index] as number) + dice;
      sum += dice;
    }
    return sum / classes;
  });
  let loss = 0;
  for (let start = 0; start < volumes; start += batchSize) {
    loss += at(3 * count + start / batchSize) * Math.min(batchSize, volumes - start);
  }
  const dice = perVolume.reduce((sum, own) => sum + own, 0) / volumes;
  return { dice, perClass: classSums.map((sum) => sum / volumes), loss: loss / volumes, perVolume };
}
