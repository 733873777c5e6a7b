/** What TensorBoard is shown of a run's events. */

import path from "node:path";
import type { Experiment } from "../config/index.ts";
import { checkpointFiles, previewFiles, type RunFolder, runFiles } from "../run-folder/index.ts";
import { createTrialBoard } from "../tensorboard/index.ts";
import type { RunEvent } from "./events.ts";

export interface Board {
  event(event: RunEvent): void;
  /** Never throws. */
  close(): Promise<void>;
}

/** @param onProblem is called once, when a file can't be written */
export function createBoard(
  folder: RunFolder,
  { train, search }: Experiment,
  onProblem: (text: string) => void,
): Board {
  if (!(train.tensorboard ?? !train.debug)) return { event: () => {}, close: async () => {} };
  const dirOf = (trial: string): string => runFiles.trial(folder.dir, trial);
  const board = createTrialBoard({ dirOf, metric: search.metric, onProblem });
  return {
    event(event) {
      switch (event.type) {
        case "trial_started": {
          const { epoch, lastMetrics: metrics } = folder.state.trials.get(event.trial) ?? { epoch: 0, lastMetrics: {} };
          const last = epoch === 0 ? null : { epoch, metrics };
          board.started(event.time, event.trial, event.attempt, event.parameters, last);
          break;
        }
        case "epoch":
          board.epoch(event.time, event.trial, event.epoch, event.metrics);
          // Only with its best epochs does a trial of distmis's own leave a picture.
          if (train.previews > 0 && event.checkpoint === checkpointFiles.best) {
            const file = path.join(dirOf(event.trial), previewFiles.picture(event.epoch));
            board.image(event.time, event.trial, event.epoch, "validation case", file);
          }
          break;
        case "trial_retried":
          board.paused(event.trial);
          break;
        case "trial_ended":
          if (event.state === "interrupted") board.paused(event.trial);
          else board.ended(event.time, event.trial, event.state !== "failed", event.best, event.metrics);
          break;
      }
    },
    close: board.close,
  };
}
