/** The task "train": a 3D U-Net on the TFRecords of a data set, from the beginning or from the trial's last checkpoint. */
import path from "node:path";
import { z } from "zod";
import { trainingShape, withPreset } from "../../augment/index.ts";
import type { TrainConfig, TrialConfig } from "../../config/index.ts";
import { outputsOf } from "../../data/index.ts";
import { DistmisError, messageOf } from "../../errors/index.ts";
import {
  evaluationStep,
  initialState,
  learningRateAt,
  type Network,
  readCheckpoint,
  stateTensors,
  trainingStep,
  unet,
} from "../../model/index.ts";
import { type Feed, inOrder, type Phase, type SplitIndex, shuffled } from "../../pipeline/index.ts";
import { flatten, type TensorFlow } from "../../tensorflow/index.ts";
import { batchTensors, classMetrics, type Evaluation, evaluate } from "../evaluation.ts";
import { aboutTrial, BEST_CHECKPOINT, LAST_CHECKPOINT, type Progress, saveEpoch } from "../save.ts";
import { NO_STANDING, patienceIsSpent } from "../standing.ts";
import type { Task, TrialContext, TrialResult } from "../task.ts";
import { tensorLeftovers } from "../tensor-leftovers.ts";
import { openTrialData } from "../trial-data.ts";
import { trialTensorFlow } from "../trial-tensorflow.ts";
import { waitedInWords } from "../waited.ts";

const inputSchema = z.object({
  /** What the best checkpoint is best in; missing for a lone trial. */
  metric: z.string().default("val_dice"),
  mode: z.enum(["max", "min"]).default("max"),
});

async function run(trial: TrialContext): Promise<TrialResult> {
  const { config } = trial;
  const { train } = config;
  const goal = inputSchema.parse(trial.taskInput ?? {});
  const { dir, info, volumes } = await openTrialData(trial);
  const [training, validation] = [await volumes.index("train"), await volumes.index("valid")];
  const sizes = { train: training.records.length, valid: validation.records.length };
  if (sizes.train === 0) throw new DistmisError("DATA_INVALID", `${dir}: the training split is empty`);
  const channels = checkShape(training, config);
  volumes.prepare(train.batch_size_per_replica);

  const runtime = trialTensorFlow(trial);
  const network = unet(runtime, config.model, channels, outputsOf(info), train.memory, train.precision);
  const steps = {
    train: trainingStep(runtime, network, train),
    evaluate: evaluationStep(runtime, network, train),
  };
  const about = await aboutTrial(trial, goal, info, channels, runtime.version);
  const progress = await begin(trial, runtime, network);
  const feed = volumes.feed(plan(training, validation, train, progress.epoch));
  const ended = () => progress.epoch >= train.epochs || patienceIsSpent(progress.standing, progress.epoch, train);
  try {
    while (!ended()) {
      const start = performance.now();
      const trained = await trainEpoch(trial, runtime, steps.train, feed, sizes.train, progress);
      if (trained === null) return { stopped: true, metrics: {} };
      const stop = () => trial.stopRequested();
      const validated =
        sizes.valid === 0 ? undefined : await evaluate(runtime.tf, steps.evaluate, progress.state, feed.phase(), stop);
      if (validated === null) return { stopped: true, metrics: {} };
      progress.epoch++;
      const metrics = epochMetrics(trained, validated);
      await saveEpoch(trial.dir, network, progress, metrics, about);
      const seconds = (performance.now() - start) / 1000;
      console.log(waitedInWords(progress.epoch, feed.takeWaited(), seconds));
      await trial.report({
        epoch: progress.epoch,
        epochs: train.epochs,
        metrics,
        seconds,
        volumesPerSecond: (sizes.train + sizes.valid) / seconds,
        // The best one stays as it is until a better one takes its place; the last one is overwritten at each epoch.
        checkpoint: progress.standing.best?.epoch === progress.epoch ? BEST_CHECKPOINT : LAST_CHECKPOINT,
      });
      if (trial.stopRequested()) return { stopped: true, metrics: {} };
    }
    const { best, progress: reached } = progress.standing;
    if (progress.epoch < train.epochs && reached) {
      console.log(
        `ends after epoch ${progress.epoch} of ${train.epochs}: ${goal.metric} made no progress since epoch ${reached.epoch} (train.early_stopping)`,
      );
    }
    return { stopped: false, metrics: best ? { [`best_${goal.metric}`]: best.value } : {} };
  } finally {
    runtime.tf.dispose(flatten(progress.state));
    steps.train.dispose();
    steps.evaluate.dispose();
    await feed.close();
  }
}

/** Training and validation in turn, from the epoch after `reached` on. */
function* plan(training: SplitIndex, validation: SplitIndex, train: TrainConfig, reached: number): Generator<Phase> {
  const { seed, batch_size_per_replica: batchSize } = train;
  const config = train.augmentation && withPreset(train.augmentation);
  for (let epoch = reached + 1; epoch <= train.epochs; epoch++) {
    const augmentation = config ? { config, seed, epoch } : null;
    yield { index: training, order: shuffled(training.records.length, seed, epoch), batchSize, augmentation };
    const { length } = validation.records;
    if (length > 0) yield { index: validation, order: inOrder(length), batchSize, augmentation: null };
  }
}

/** Channels of the images, after a check that the network can halve them. */
function checkShape({ shape }: SplitIndex, config: TrialConfig): number {
  const [x, y, z, channels] = trainingShape(shape, config.train.augmentation);
  const divisor = 2 ** config.model.depth;
  if ([x, y, z].every((side) => side % divisor === 0)) return channels;
  throw new DistmisError(
    "CONFIG_INVALID",
    `model.depth: ${config.model.depth} needs sides divisible by ${divisor}, but ` +
      (config.train.augmentation?.crop
        ? `train.augmentation.crop.shape is ${x} x ${y} x ${z}: choose other sides or a smaller depth`
        : `the volumes of ${config.data?.dir} are ${x} x ${y} x ${z}: ` +
          `write them with \`distmis tfrecord --reshape auto --divisor ${divisor}\`, or choose a smaller depth`),
  );
}

/** From the last checkpoint that can be read, else from the seed. */
async function begin(trial: TrialContext, runtime: TensorFlow, network: Network): Promise<Progress> {
  const { train, model } = trial.config;
  for (const name of [LAST_CHECKPOINT, BEST_CHECKPOINT]) {
    const file = path.join(trial.dir, name);
    try {
      const { stored, facts } = await readCheckpoint(file, () => network);
      if (JSON.stringify(facts.model) !== JSON.stringify(model)) {
        throw new DistmisError("DATA_INVALID", `${file}: belongs to another model configuration`);
      }
      console.log(`continues after epoch ${facts.epoch} from ${file}`);
      return {
        state: stateTensors(runtime.tf, stored, train),
        epoch: facts.epoch,
        step: facts.step,
        standing: { best: facts.best, kept: facts.kept, progress: facts.progress },
      };
    } catch (error) {
      if (!(error instanceof DistmisError)) throw error;
      // No checkpoint is the ordinary beginning; a damaged one is said.
      if (error.code !== "FILE_UNUSABLE") console.error(`checkpoint not used: ${messageOf(error)}`);
    }
  }
  return {
    state: initialState(runtime, network, train),
    epoch: 0,
    step: 0,
    standing: NO_STANDING,
  };
}

/** What training an epoch reports. */
interface Trained {
  /** Means over the batches, weighted by their volumes. */
  loss: number;
  dice: number;
}

/** Null if the trial was asked to stop. Advances `progress.state` and `progress.step`. */
async function trainEpoch(
  trial: TrialContext,
  runtime: TensorFlow,
  step: ReturnType<typeof trainingStep>,
  feed: Feed,
  size: number,
  progress: Progress,
): Promise<Trained | null> {
  const { tf } = runtime;
  const { train } = trial.config;
  const epoch = progress.epoch + 1;
  const totalSteps = train.epochs * Math.ceil(size / train.batch_size_per_replica);
  const sums = { loss: 0, dice: 0 };
  for await (const volumes of feed.phase()) {
    if (trial.stopRequested()) return null;
    const batch = batchTensors(tf, volumes);
    const rate = learningRateAt(train, progress.step, totalSteps);
    const [learningRate, count] = [tf.scalar(rate), tf.scalar(progress.step + 1)];
    const seed = tf.tensor1d([train.seed, progress.step], "int32");
    const result = step({
      state: progress.state,
      batch,
      learningRate,
      step: count,
      seed,
    });
    const [loss, dice] = [result.loss.dataSync()[0] as number, result.dice.dataSync()[0] as number];
    tf.dispose([...flatten(progress.state), ...flatten(batch), learningRate, count, seed, result.loss, result.dice]);
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
    sums.loss += loss * volumes.indices.length;
    sums.dice += dice * volumes.indices.length;
  }
  return { loss: sums.loss / size, dice: sums.dice / size };
}

function epochMetrics({ loss, dice }: Trained, validation: Evaluation | undefined): Record<string, number> {
  if (!validation) return { loss, dice };
  return { loss, dice, val_loss: validation.loss, val_dice: validation.dice, ...classMetrics(validation, "val_") };
}

const task: Task = { run, leftovers: tensorLeftovers };
export default task;
