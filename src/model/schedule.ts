/** The learning rate of each step. */
import type { TrainConfig } from "../config/index.ts";

export type ScheduleConfig = Pick<
  TrainConfig,
  "learning_rate" | "scale_learning_rate" | "schedule" | "schedule_power" | "warmup_epochs" | "epochs"
>;

/**
 * Learning rate of a step, as Keras's CosineDecay (with `warmup_steps`) and PolynomialDecay (to 0) compute it: linear from
 * 0 in the warm-up, then from `learning_rate` to 0 over the rest of the training. With `scale_learning_rate: linear` all of it
 * is multiplied by the replicas (Goyal et al. 2017).
 * @param step how many steps there were before
 * @param totalSteps of the whole training
 */
export function learningRateAt(train: ScheduleConfig, step: number, totalSteps: number, replicas = 1): number {
  const full = train.scale_learning_rate === "linear" ? train.learning_rate * replicas : train.learning_rate;
  const warmup = Math.round((train.warmup_epochs * totalSteps) / train.epochs);
  if (step < warmup) return (full * step) / warmup;
  const done = Math.min(1, (step - warmup) / Math.max(1, totalSteps - warmup));
  switch (train.schedule) {
    case "constant":
      return full;
    case "polynomial":
      return full * (1 - done) ** train.schedule_power;
    case "cosine":
      return (full * (1 + Math.cos(Math.PI * done))) / 2;
  }
}
