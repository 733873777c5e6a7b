/** One epoch of training: all steps that the replicas of a trial make together. */
import { DistmisError } from "../errors/index.ts";
import { type Batch, learningRateAt, type trainingStep } from "../model/index.ts";
import type { Feed, Batch as VolumeBatch } from "../pipeline/index.ts";
import { flatten, type TensorFlow, type Tfjs } from "../tensorflow/index.ts";
import { batchTensors } from "./evaluation.ts";
import { together } from "./replicas.ts";
import type { Progress } from "./save.ts";
import type { TrialContext } from "./task.ts";

/** What training an epoch reports. */
export interface Trained {
  /** Means over the batches of all replicas, weighted by their volumes. */
  loss: number;
  dice: number;
}

/** This replica's part of a batch; where that is none, one empty volume in its place, since all replicas make each step. */
function partTensors(tf: Tfjs, volumes: VolumeBatch): Batch {
  if (volumes.indices.length > 0) return batchTensors(tf, volumes);
  const [x, y, z, channels] = volumes.shape;
  return { images: tf.zeros([1, x, y, z, channels]), truth: tf.zeros([1, x, y, z, 1]) };
}

/**
 * Null if one of the replicas was asked to stop: all of them stop after the same step. Advances `progress.state` and
 * `progress.step`, otherwise than `progress.epoch`.
 * @param size volumes of the training split
 * @throws DistmisError TRIAL_FAILED if the loss is not a number, TRAINER_FAILED if another replica is lost
 */
export async function trainEpoch(
  trial: TrialContext,
  runtime: TensorFlow,
  step: ReturnType<typeof trainingStep>,
  feed: Feed,
  size: number,
  progress: Progress,
): Promise<Trained | null> {
  const { tf } = runtime;
  const { replicas, rank } = trial;
  const { train } = trial.config;
  const epoch = progress.epoch + 1;
  const stepsPerEpoch = Math.ceil(size / (replicas * train.batch_size_per_replica));
  // Not progress.step: there may have been more or fewer replicas in the epochs before.
  let scheduled = progress.epoch * stepsPerEpoch;
  const sums = { loss: 0, dice: 0 };
  for await (const volumes of feed.phase()) {
    const stop = trial.stopRequested();
    if (stop && replicas === 1) {
      volumes.release();
      return null;
    }
    const batch = partTensors(tf, volumes);
    const rate = learningRateAt(train, scheduled++, train.epochs * stepsPerEpoch, replicas);
    const [learningRate, count] = [tf.scalar(rate), tf.scalar(progress.step + 1)];
    // Each replica drops other channels.
    const seed = tf.tensor1d([train.seed, progress.step * replicas + rank], "int32");
    const weight = volumes.indices.length / volumes.total;
    const replica = replicas > 1 ? { weight: tf.scalar(weight), said: tf.tensor1d([stop ? 1 : 0]) } : undefined;
    const input = { state: progress.state, batch, learningRate, step: count, seed, ...(replica && { replica }) };
    const result = together(trial, `in step ${progress.step + 1}`, () => step(input));
    const [loss, dice] = [result.loss.dataSync()[0] as number, result.dice.dataSync()[0] as number];
    const stops = result.said?.dataSync()[0] ?? 0;
    tf.dispose([...flatten(input), result.loss, result.dice, ...(result.said ? [result.said] : [])]);
    volumes.release();
    progress.state = result.state;
    progress.step++;
    if (!Number.isFinite(loss)) {
      throw new DistmisError(
        "TRIAL_FAILED",
        `the loss is ${loss} at step ${progress.step} (epoch ${epoch}): try a smaller train.learning_rate than ${train.learning_rate}`,
      );
    }
    if (train.debug) console.log(`epoch ${epoch} step ${progress.step} loss ${loss.toFixed(6)} learning rate ${rate}`);
    if (stops > 0) return null;
    sums.loss += loss * volumes.total;
    sums.dice += dice * volumes.total;
  }
  return { loss: sums.loss / size, dice: sums.dice / size };
}
