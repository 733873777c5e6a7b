/** How long an epoch of an experiment takes, by what its trials, or those of runs that it starts from, have taken. */
import { access } from "node:fs/promises";
import type { Experiment } from "../config/index.ts";
import { type RunState, readRun, runFiles } from "../run-folder/index.ts";

/** What trials with so many replicas have taken. */
export interface Pace {
  replicas: number;
  /** Median over the trials of their seconds an epoch, starts and checkpoints included. */
  secondsPerEpoch: number;
  /** How many trials that is. */
  trials: number;
  /** The most epochs that one of them was to have. */
  epochs: number;
  /** Folder of their run, absolute. */
  run: string;
}

/**
 * For each number of replicas the pace in the first of the runs that had such trials: the run folder, then those of the warm
 * start with the same data.
 * @param state of the run folder, null if there is none
 */
export async function measuredPaces(runDir: string, state: RunState | null, experiment: Experiment): Promise<Pace[]> {
  const paces = new Map<number, Pace>();
  const note = (run: string, { trials }: RunState): void => {
    const measured = [...trials.values()].filter(({ epoch, seconds }) => epoch > 0 && seconds > 0);
    for (const replicas of new Set(measured.map((trial) => trial.replicas))) {
      if (paces.has(replicas)) continue;
      const alike = measured.filter((trial) => trial.replicas === replicas);
      const secondsPerEpoch = median(alike.map(({ seconds, epoch }) => seconds / epoch));
      const epochs = alike.reduce((most, trial) => Math.max(most, trial.epochs), 0);
      paces.set(replicas, { replicas, secondsPerEpoch, trials: alike.length, epochs, run });
    }
  };
  if (state !== null) note(runDir, state);
  for (const run of experiment.search.warm_start.runs) {
    const { experiment: earlier, state: ended } = await readRun(run);
    if (doesTheSame(earlier, experiment)) note(run, ended);
  }
  return [...paces.values()].toSorted((a, b) => a.replicas - b.replicas);
}

/** Whether the time of an epoch says something: the same data and task. */
function doesTheSame(a: Experiment, b: Experiment): boolean {
  return a.data?.dir === b.data?.dir && a.trainer.module === b.trainer.module;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** The state of the run in a folder; null if there is none yet. */
export async function stateIn(runDir: string): Promise<RunState | null> {
  try {
    await access(runFiles.journal(runDir));
  } catch {
    return null;
  }
  return (await readRun(runDir)).state;
}
