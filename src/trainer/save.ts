/** The checkpoints of a trial: the last one and the one before it, the best one, and the best few. */
import fs from "node:fs/promises";
import path from "node:path";
import type { TrainConfig } from "../config/index.ts";
import { type DatasetInfo, outputsOf } from "../data/index.ts";
import { DistmisError, hasErrno, messageOf, unwritable } from "../errors/index.ts";
import { type ModelFacts, type ModelState, type Network, stateValues, writeCheckpoint } from "../model/index.ts";
import { checkpointFiles } from "../run-folder/index.ts";
import { originOf, type TrialOrigin, versionsOf } from "./origin.ts";
import { advanced, type Standing } from "./standing.ts";
import type { TrialContext } from "./task.ts";

/** Where a trial stands between two epochs. */
export interface Progress {
  state: ModelState;
  epoch: number;
  step: number;
  standing: Standing;
  /** Of the epochs up to this one; of several replicas, only rank 0 has them. */
  reports: ModelFacts["reports"];
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
 * Saves an epoch that has a place among the best ones, that `train.checkpoint_epochs` asks for, or that is the trial's last. All
 * names that it gets are hard links to one file; what `last` was becomes `previous`. Adds its report to `progress`.
 * @param before the standing before this epoch
 * @param ends whether the trial ends with it
 * @returns the checkpoint that the report names: the best one stays as it is until a better one takes its place, the last one is
 * replaced at the next; empty if nothing was saved
 * @throws DistmisError DISK_FULL; TRAINER_FAILED where this node can't write there for another reason
 */
export async function saveEpoch(
  trialDir: string,
  network: Network,
  progress: Progress,
  before: Standing,
  ends: boolean,
  metrics: Record<string, number>,
  about: AboutTrial,
): Promise<string> {
  const { epoch, step } = progress;
  const { train } = about;
  const { best, kept } = progress.standing;
  const isBest = best?.epoch === epoch;
  const isKept = train.keep_best > 1 && kept.some((own) => own.epoch === epoch);
  const saved = isBest || isKept || ends || epoch % train.checkpoint_epochs === 0;
  const { dir, last, previous } = checkpointFiles;
  const checkpoint = !saved ? "" : isBest ? checkpointFiles.best : last;
  progress.reports.push({ epoch, metrics, checkpoint });
  if (!saved) return checkpoint;
  const origin = { ...about.origin, time: new Date().toISOString() };
  const facts: ModelFacts = { ...about, epoch, step, metrics, ...progress.standing, reports: progress.reports, origin };
  const own = (name: string): string => path.join(trialDir, name);
  const others = [...(isKept ? [checkpointFiles.epoch(epoch)] : []), ...(isBest ? [checkpointFiles.best] : [])];
  try {
    await fs.mkdir(own(dir), { recursive: true });
    await linkTo(own(last), own(previous));
    // `last` at the end: a trial that dies in between repeats this epoch.
    const [first = last, ...more] = [...others, last];
    await writeCheckpoint(own(first), network, stateValues(progress.state), facts);
    for (const name of more) await linkTo(own(first), own(name));
    for (const old of before.kept) {
      // Only now: until the last checkpoint is written, a resumed trial may come back to them.
      if (!kept.some((one) => one.epoch === old.epoch))
        await fs.rm(own(checkpointFiles.epoch(old.epoch)), { force: true });
    }
  } catch (error) {
    throw unsaved(error);
  }
  return checkpoint;
}

/** What a trial ends with that can't write into its folder. */
export function unsaved(error: unknown): DistmisError {
  if (error instanceof DistmisError && error.code === "DISK_FULL") return error;
  // The folder could be read when the trial began: it is this node that lost it.
  return new DistmisError("TRAINER_FAILED", messageOf(error), { cause: error });
}

/** Lets `name` be the file that `target` is, in place of what it was; nothing if there is no such file. */
async function linkTo(target: string, name: string): Promise<void> {
  const temporary = `${name}.tmp`;
  try {
    await fs.rm(temporary, { force: true });
    await fs.link(target, temporary);
    await fs.rename(temporary, name);
    // If both are one file already, rename leaves them as they are.
    await fs.rm(temporary, { force: true });
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw unwritable(name, error);
  }
}
