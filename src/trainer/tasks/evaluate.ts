/** The task "evaluate": a checkpoint's Dice on a split, and its segmentations of that split's source files. */
import path from "node:path";
import { stringify } from "csv-stringify/sync";
import { z } from "zod";
import { outputsOf, type SampleInfo } from "../../data/index.ts";
import { DistmisError } from "../../errors/index.ts";
import { replaceFile } from "../../files/index.ts";
import { type Ensemble, ensemble, loadModel, predictFile } from "../../inference/index.ts";
import { evaluationStep } from "../../model/index.ts";
import { makeFolder } from "../../paths/index.ts";
import { type Feed, inOrder } from "../../pipeline/index.ts";
import { classMetrics, evaluate } from "../evaluation.ts";
import type { Task, TrialContext, TrialResult } from "../task.ts";
import { tensorLeftovers } from "../tensor-leftovers.ts";
import { openTrialData } from "../trial-data.ts";
import { trialTensorFlow } from "../trial-tensorflow.ts";

export const evaluationInputSchema = z.strictObject({
  /** Absolute path of a checkpoint. */
  checkpoint: z.string().min(1),
  split: z.enum(["train", "valid", "test"]),
  /** Where predictions go, as NIfTI with scores.csv; none are written without it, or where the sources are gone. */
  predictions: z.string().min(1).optional(),
});
export type EvaluationInput = z.input<typeof evaluationInputSchema>;

async function run(trial: TrialContext): Promise<TrialResult> {
  const input = evaluationInputSchema.parse(trial.taskInput);
  const { dir, info, volumes } = await openTrialData(trial);
  const runtime = trialTensorFlow(trial);
  const model = await loadModel(runtime, input.checkpoint);
  const step = evaluationStep(runtime, model.network, model.facts.train);
  let feed: Feed | undefined;
  try {
    const outputs = outputsOf(info);
    if (model.network.outputs !== outputs) {
      throw new DistmisError(
        "DATA_INVALID",
        `${input.checkpoint}: a model of ${outputsInWords(model.network.outputs)}, but the labels of ${dir} are of ` +
          `${outputsInWords(outputs)}: evaluate it on data written as those that it was trained on`,
      );
    }
    const index = await volumes.index(input.split);
    const size = index.records.length;
    if (size === 0) throw new DistmisError("DATA_INVALID", `${dir}: the ${input.split} split is empty`);
    const batchSize = trial.config.train.batch_size_per_replica;
    feed = volumes.feed([{ index, order: inOrder(size), batchSize, augmentation: null }]);
    const split = { volumes: size, batchSize, classes: Math.max(1, outputs - 1) };
    const stop = () => trial.stopRequested();
    const result = await evaluate(runtime.tf, step, model, feed.phase(), split, { stop });
    if (result === null) return { stopped: true, metrics: {} };
    const metrics = {
      dice: result.dice,
      ...classMetrics(result),
      loss: result.loss,
      volumes: result.perVolume.length,
    };
    const own = info.distmis;
    if (input.predictions === undefined || own === undefined) return { stopped: false, metrics };
    const written = await writePredictions(
      trial,
      ensemble([model]),
      own.source_dir,
      own.samples[input.split],
      input.predictions,
    );
    return { stopped: written === null, metrics: { ...metrics, ...written } };
  } finally {
    await feed?.close();
    step.dispose();
    model.dispose();
  }
}

const outputsInWords = (outputs: number) => (outputs === 1 ? "one foreground" : `${outputs} classes`);

/** Segments the sources of the samples; returns what it wrote, or null if asked to stop. */
async function writePredictions(
  trial: TrialContext,
  model: Ensemble,
  sourceDir: string,
  samples: readonly SampleInfo[],
  outputDir: string,
): Promise<Record<string, number> | null> {
  await makeFolder(outputDir);
  const rows: {
    image: string;
    label: string;
    prediction: string;
    dice: number;
    [ofClass: `dice_${string}`]: number;
  }[] = [];
  for (const { image, label } of samples) {
    if (trial.stopRequested()) return null;
    const [imageFile, labelFile] = [path.join(sourceDir, image.path), path.join(sourceDir, label.path)];
    const { file, dice } = await predictFile(model, imageFile, outputDir, { labelFile });
    const ofClasses = Object.entries(dice?.classes ?? {}).map(([value, each]) => [`dice_${value}`, each] as const);
    rows.push({
      image: imageFile,
      label: labelFile,
      prediction: file,
      dice: dice?.mean ?? Number.NaN,
      ...Object.fromEntries(ofClasses),
    });
  }
  await replaceFile(path.join(outputDir, "scores.csv"), stringify(rows, { header: true }));
  const mean = rows.reduce((sum, row) => sum + row.dice, 0) / rows.length;
  return { predictions: rows.length, native_dice: mean };
}

const task: Task = { run, leftovers: tensorLeftovers };
export default task;
