/** How a trial stands after each epoch: its best epochs, and whether it still makes progress. */
import type { TrainConfig } from "../config/index.ts";
import type { EpochValue, ModelFacts } from "../model/index.ts";

export type Standing = Pick<ModelFacts, "best" | "kept" | "progress">;
type Mode = "max" | "min";

export const NO_STANDING: Standing = { best: null, kept: [], progress: null };

/** The standing after one more epoch. */
export function advanced(
  before: Standing,
  epoch: EpochValue,
  mode: Mode,
  train: Pick<TrainConfig, "early_stopping" | "keep_best">,
): Standing {
  // What is not a number is worse than any number.
  const rank = (value: number) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : mode === "max" ? value : -value);
  const better = (a: number, b: number) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b));
  const isProgress =
    before.progress === null || better(epoch.value, before.progress.value) > (train.early_stopping?.min_delta ?? 0);
  return {
    best: before.best === null || better(epoch.value, before.best.value) > 0 ? epoch : before.best,
    // The sort is stable: of equal ones the earlier stays.
    kept: [...before.kept, epoch].sort((a, b) => better(b.value, a.value)).slice(0, train.keep_best),
    progress: isProgress ? epoch : before.progress,
  };
}

/** Whether early stopping ends the trial after this epoch, as Keras's EarlyStopping does. */
export function patienceIsSpent(
  { progress }: Standing,
  epoch: number,
  { early_stopping: stopping }: Pick<TrainConfig, "early_stopping">,
): boolean {
  return stopping !== undefined && progress !== null && epoch - progress.epoch >= stopping.patience;
}
