/** Where things lie in a run folder. */
import path from "node:path";

export const runFiles = {
  journal: (runDir: string): string => path.join(runDir, "journal.jsonl"),
  lock: (runDir: string): string => path.join(runDir, "run.lock"),
  experiment: (runDir: string): string => path.join(runDir, "experiment.yaml"),
  resultsCsv: (runDir: string): string => path.join(runDir, "results.csv"),
  resultsJsonl: (runDir: string): string => path.join(runDir, "results.jsonl"),
  /** Of the jobs that were submitted for it, see src/slurm. */
  slurm: (runDir: string): string => path.join(runDir, "slurm"),
  /** The best trial's model, see src/model-folder. */
  model: (runDir: string): string => path.join(runDir, "model"),
  trials: (runDir: string): string => path.join(runDir, "trials"),
  /** Of what a trial leaves; made with the first file in it. */
  trial: (runDir: string, trial: string): string => path.join(runDir, "trials", trial),
  /** What the replica of this rank printed. */
  trialLog: (runDir: string, trial: string, rank = 0): string => path.join(runDir, "trials", trial, logName(rank)),
};

/** Whether an entry of a folder without a journal shows that it is none of a run: a lock and jobs may be there before one. */
export function isForeign(entry: string): boolean {
  return !entry.startsWith("run.lock") && entry !== path.basename(runFiles.slurm(""));
}

/** The checkpoints of a trial, relative to its folder; distmis's own trainer writes them. */
export const checkpointFiles = {
  dir: "checkpoints",
  /** Of the last epoch that was saved, and of the one saved before it. */
  last: "checkpoints/last.safetensors",
  previous: "checkpoints/previous.safetensors",
  best: "checkpoints/best.safetensors",
  /** Of one of the best few, with `train.keep_best` above 1. */
  epoch: (epoch: number): string => `checkpoints/epoch-${epoch}.safetensors`,
};

/** The name of a trial's configuration in its folder; rank 0's trainer writes it. */
export const CONFIG_NAME = "config.json";

/** The segmentations of validation cases that a trial has kept, relative to its folder; see docs/run-folder.md. */
export const previewFiles = {
  dir: "previews",
  /** Written last: where it is there, the epoch's volumes are. */
  facts: (epoch: number): string => `previews/epoch-${epoch}.json`,
  /** The first case with its truth and the segmentation, for TensorBoard. */
  picture: (epoch: number): string => `previews/epoch-${epoch}.png`,
  /** @param index place in the validation split, from 0 */
  volume: (epoch: number, index: number): string => `previews/epoch-${epoch}-case-${index}.nii.gz`,
};

/** The name of a replica's log in the trial's folder. */
export function logName(rank: number): string {
  return rank === 0 ? "trainer.log" : `trainer-${rank}.log`;
}

/** Readable, sortable, stable: the number of the trial in the order of the search, from 1. */
export function trialId(number: number): string {
  return String(number).padStart(4, "0");
}
