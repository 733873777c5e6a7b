/** The learning rate of each step. */
import type { TrainConfig } from "../config/index.ts";

export type ScheduleConfig = Pick<
  TrainConfig,
  "learning_rate" | "schedule" | "schedule_power" | "warmup_epochs" | "epochs"
>;

/**
 * Learning rate of a step, as Keras's CosineDecay (with `warmup_steps`) and PolynomialDecay (to 0) compute it: linear from
 * 0 in the warm-up, then from `learning_rate` to 0 over the rest of the training.
 * @param step how many steps there were before
 * @param totalSteps of the whole training
 */
export function learningRateAt(train: ScheduleConfig, step: number, totalSteps: number): number {
  const warmup = Math.round((train.warmup_epochs * totalSteps) / train.epochs);
  if (step < warmup) return (train.learning_rate * step) / warmup;
  const done = Math.min(1, (step - warmup) / Math.max(1, totalSteps - warmup));
  switch (train.schedule) {
    case "constant":
      return train.learning_rate;
    case "polynomial":
      return train.learning_rate * (1 - done) ** train.schedule_power;
    case "cosine":
      return (train.learning_rate * (1 + Math.cos(Math.PI * done))) / 2;
  }
}
