/** The checkpoints of a trial: after every epoch the last one, and with it the best one and the best few. */
import fs from "node:fs/promises";
import path from "node:path";
import type { TrainConfig } from "../config/index.ts";
import { type DatasetInfo, outputsOf } from "../data/index.ts";
import { type ModelFacts, type ModelState, type Network, stateValues, writeCheckpoint } from "../model/index.ts";
import { originOf, type TrialOrigin, versionsOf } from "./origin.ts";
import { advanced, type Standing } from "./standing.ts";
import type { TrialContext } from "./task.ts";

const CHECKPOINTS = "checkpoints";
/** Relative to the trial's folder. */
export const LAST_CHECKPOINT = `${CHECKPOINTS}/last.safetensors`;
export const BEST_CHECKPOINT = `${CHECKPOINTS}/best.safetensors`;

const keptCheckpoint = (epoch: number) => `${CHECKPOINTS}/epoch-${epoch}.safetensors`;

/** Where a trial stands between two epochs. */
export interface Progress {
  state: ModelState;
  epoch: number;
  step: number;
  standing: Standing;
}

/** What the best checkpoint is best in. */
export type Goal = NonNullable<ModelFacts["goal"]>;

/** What all checkpoints of a trial have in common. */
export type AboutTrial = Pick<
  ModelFacts,
  "format" | "model" | "train" | "channels" | "outputs" | "preprocessing" | "versions"
> & { goal: Goal; origin: TrialOrigin };

/** @param tensorflow its version */
export async function aboutTrial(
  trial: TrialContext,
  goal: Goal,
  info: DatasetInfo,
  channels: number,
  tensorflow: string,
): Promise<AboutTrial> {
  const { model, train } = trial.config;
  return {
    format: 1,
    model,
    train,
    channels,
    outputs: outputsOf(info),
    goal,
    preprocessing: info.distmis?.preprocessing ?? null,
    versions: await versionsOf(tensorflow),
    origin: await originOf(trial, info),
  };
}

/** The standing of `progress` with an epoch's metrics in it. */
export function standingAfter(
  { standing, epoch }: Progress,
  metrics: Record<string, number>,
  goal: Goal,
  train: TrainConfig,
): Standing {
  // Without a validation split the model goes by the training's Dice.
  const goalMetric = metrics[goal.metric];
  const value = goalMetric ?? metrics.dice ?? Number.NaN;
  return advanced(standing, { value, epoch }, goalMetric === undefined ? "max" : goal.mode, train);
}

/**
 * Writes the last checkpoint, and first those that this epoch has a place among: the best one, and the best few.
 * @param before the standing before this epoch
 */
export async function saveEpoch(
  trialDir: string,
  network: Network,
  progress: Progress,
  before: Standing,
  metrics: Record<string, number>,
  about: AboutTrial,
): Promise<void> {
  const { epoch, step } = progress;
  const { train } = about;
  const origin = { ...about.origin, time: new Date().toISOString() };
  const facts: ModelFacts = { ...about, epoch, step, metrics, ...progress.standing, origin };
  const { best, kept } = progress.standing;
  await fs.mkdir(path.join(trialDir, CHECKPOINTS), { recursive: true });
  const stored = stateValues(progress.state);
  const write = (name: string) => writeCheckpoint(path.join(trialDir, name), network, stored, facts);
  if (train.keep_best > 1 && kept.some((own) => own.epoch === epoch)) await write(keptCheckpoint(epoch));
  if (best?.epoch === epoch) await write(BEST_CHECKPOINT);
  await write(LAST_CHECKPOINT);
  for (const old of before.kept) {
    // Only now: until the last checkpoint is written, a resumed trial may come back to them.
    if (!kept.some((own) => own.epoch === old.epoch)) {
      await fs.rm(path.join(trialDir, keptCheckpoint(old.epoch)), { force: true });
    }
  }
}
