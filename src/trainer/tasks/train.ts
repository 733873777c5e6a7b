/** The task "train": a 3D U-Net on the TFRecords of a data set, from the beginning or from the trial's last checkpoint. */
import { z } from "zod";
import { trainingShape, withPreset } from "../../augment/index.ts";
import type { TrialConfig } from "../../config/index.ts";
import { outputsOf } from "../../data/index.ts";
import { DistmisError } from "../../errors/index.ts";
import { evaluationStep, trainingStep, unet } from "../../model/index.ts";
import { type Phase, type SplitIndex, shuffled } from "../../pipeline/index.ts";
import { flatten } from "../../tensorflow/index.ts";
import { beginningOf } from "../beginning.ts";
import { classMetrics, type Evaluation, evaluate, evaluatedBy } from "../evaluation.ts";
import { createPreviews } from "../previews.ts";
import { checkSameWeights, sameBeginning, sumOverReplicas } from "../replicas.ts";
import { aboutTrial, saveEpoch, standingAfter } from "../save.ts";
import { patienceIsSpent } from "../standing.ts";
import type { Task, TrialContext, TrialResult } from "../task.ts";
import { tensorLeftovers } from "../tensor-leftovers.ts";
import { type Trained, trainEpoch } from "../training.ts";
import { openTrialData } from "../trial-data.ts";
import { trialTensorFlow } from "../trial-tensorflow.ts";
import { waitedInWords } from "../waited.ts";
import { packPace, unpackPaces, workSeconds } from "../work-seconds.ts";

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
  const progress = sameBeginning(trial, runtime, await beginningOf(trial, runtime, network), sizes);
  const split = {
    volumes: sizes.valid,
    batchSize: train.batch_size_per_replica,
    classes: Math.max(1, network.outputs - 1),
  };
  const [x, y, z] = validation.shape;
  const previews =
    trial.rank === 0
      ? createPreviews({
          trialDir: trial.dir,
          count: train.previews,
          shape: [x, y, z],
          info,
          picture: train.tensorboard ?? !train.debug,
        })
      : null;
  const own = evaluatedBy(split, trial.rank, trial.replicas);
  const feed = volumes.feed(plan(trial, training, validation, own, progress.epoch));
  const ended = () => progress.epoch >= train.epochs || patienceIsSpent(progress.standing, progress.epoch, train);
  try {
    for (const { epoch, metrics, checkpoint } of progress.reports) {
      if (epoch <= trial.reportedEpoch) continue;
      console.log(`reports epoch ${epoch} again: the run does not know of it`);
      await trial.report({ epoch, epochs: train.epochs, metrics, seconds: 0, volumesPerSecond: 0, checkpoint });
    }
    while (!ended()) {
      const start = performance.now();
      const trained = await trainEpoch(trial, runtime, steps.train, feed, sizes.train, progress);
      if (trained === null) return { stopped: true, metrics: {} };
      const waited = feed.takeWaited();
      const validationStart = performance.now();
      const pace = { training: (validationStart - start) / 1000 - waited, waited, validation: 0, volumes: own.length };
      const validated =
        sizes.valid === 0
          ? undefined
          : await evaluate(runtime.tf, steps.evaluate, progress.state, feed.phase(), split, {
              stop: () => trial.stopRequested(),
              ...(previews && { see: previews.see }),
              sum: (measured) => {
                pace.validation = (performance.now() - validationStart) / 1000;
                return sumOverReplicas(trial, runtime, measured, "validation");
              },
            });
      if (validated === null) return { stopped: true, metrics: {} };
      progress.epoch++;
      checkSameWeights(trial, runtime, progress.state, progress.epoch);
      const paces = sumOverReplicas(trial, runtime, packPace(pace, trial.rank, trial.replicas), "paces");
      const metrics = epochMetrics(trained, validated);
      const before = progress.standing;
      progress.standing = standingAfter(progress, metrics, goal, train);
      const checkpoint =
        trial.rank === 0 ? await saveEpoch(trial.dir, network, progress, before, ended(), metrics, about) : "";
      if (validated && progress.standing.best?.epoch === progress.epoch) {
        await previews?.keep(progress.epoch, validated.perVolume);
      }
      const seconds = (performance.now() - start) / 1000;
      console.log(waitedInWords(progress.epoch, waited + feed.takeWaited(), seconds));
      await trial.report({
        epoch: progress.epoch,
        epochs: train.epochs,
        metrics,
        seconds,
        volumesPerSecond: (sizes.train + sizes.valid) / seconds,
        checkpoint,
        workSeconds: workSeconds(unpackPaces(paces))[trial.rank] ?? 0,
      });
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

/**
 * Training and validation in turn, from the epoch after `reached` on.
 * @param validated positions of the validation volumes that this replica evaluates
 */
function* plan(
  { rank, replicas, config: { train: settings } }: TrialContext,
  training: SplitIndex,
  validation: SplitIndex,
  validated: readonly number[],
  reached: number,
): Generator<Phase> {
  const { seed, batch_size_per_replica: batchSize, epochs } = settings;
  const config = settings.augmentation && withPreset(settings.augmentation);
  for (let epoch = reached + 1; epoch <= epochs; epoch++) {
    const augmentation = config ? { config, seed, epoch } : null;
    const order = shuffled(training.records.length, seed, epoch);
    yield { index: training, order, batchSize, augmentation, rank, replicas };
    if (validation.records.length > 0) yield { index: validation, order: validated, batchSize, augmentation: null };
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

function epochMetrics({ loss, dice }: Trained, validation: Evaluation | undefined): Record<string, number> {
  if (!validation) return { loss, dice };
  return { loss, dice, val_loss: validation.loss, val_dice: validation.dice, ...classMetrics(validation, "val_") };
}

const task: Task = { run, leftovers: tensorLeftovers };
export default task;
