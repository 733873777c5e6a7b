/** Whether a run's checkpoints find room, reckoned before it starts. */
import { statfs } from "node:fs/promises";
import { axesOf, type Experiment, gridPoints, type Parameters, trialConfig } from "../config/index.ts";
import { outputsOf, readInfo } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { checkpointBytes } from "../model/index.ts";
import { hasEnded, type RunFolder } from "../run-folder/index.ts";
import { plannedTrials } from "./planned.ts";

/** What the size of a trial's checkpoints hangs on. */
const DECISIVE = /^(model|train\.(optimizer|amsgrad|keep_best)$)/;
/** More sizes than this are not looked at: their mean is known well enough. */
const MOST_SIZES = 500;
/** Below this share of what is free nobody needs to be told. */
const WORTH_A_WORD = 0.1;
/** Of a search with an open number of trials: with room for so many nobody needs to be told. */
const FIT_WORTH_A_WORD = 1000;

/**
 * What checkpoints of the trials that have not ended will take at most, in words; null if that is not worth a word or can't be
 * told: for a trainer module of the user's own, and a data set that DistMIS itself wrote.
 * @param check whether to refuse what does not fit
 * @throws DistmisError DISK_FULL if there is less free space than that
 */
export async function checkDiskNeed(folder: RunFolder, experiment: Experiment, check: boolean): Promise<string | null> {
  const bytes = await bytesOfTrial(experiment);
  const planned = plannedTrials(folder.state, experiment);
  if (bytes === null || (planned === null && folder.state.finished)) return null;
  const { bavail, bsize } = await statfs(folder.dir);
  const free = bavail * bsize;
  // Where nobody knows how many trials there will be, one must find room.
  const trials = planned === null ? 1 : planned - [...folder.state.trials.values()].filter(hasEnded).length;
  const need = bytes * trials;
  const fit = Math.floor(free / bytes);
  if (planned === null ? fit >= FIT_WORTH_A_WORD : need < free * WORTH_A_WORD) return null;
  const there = `${inWords(free)} are free in ${folder.dir}`;
  const text =
    planned === null
      ? `checkpoints of a trial take up to ${inWords(bytes)}, ${there}: room for ${fit} trials, of which nobody knows how many there will be`
      : `checkpoints of ${trials} ${trials === 1 ? "trial" : "trials"} take up to ${inWords(need)} (${inWords(bytes)} each), ${there}`;
  if (need <= free || !check) return text;
  throw new DistmisError(
    "DISK_FULL",
    `${text}: make room, name another folder with --run-dir, keep fewer (train.keep_best), or go on all the same with --no-disk-check and \`distmis gc\` now and then`,
  );
}

/** Of the trials' checkpoints, the mean over the sizes that the search space has. */
async function bytesOfTrial(experiment: Experiment): Promise<number | null> {
  if (experiment.trainer.module !== undefined || experiment.data === undefined) return null;
  const info = await readInfo(experiment.data.dir);
  const channels = info.distmis?.image_shape[0];
  if (channels === undefined) return null;
  const axes = axesOf(experiment).filter(({ path }) => DECISIVE.test(path));
  const sizes: number[] = [];
  for (const parameters of gridPoints(axes)) {
    sizes.push(bytesWith(experiment, parameters, channels, outputsOf(info)));
    if (sizes.length === MOST_SIZES) break;
  }
  return sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
}

function bytesWith(experiment: Experiment, parameters: Parameters, channels: number, outputs: number): number {
  const { model, train } = trialConfig(experiment, parameters);
  // The last one and the one before it, and the best few.
  return (2 + train.keep_best) * checkpointBytes(model, train, channels, outputs);
}

function inWords(bytes: number): string {
  return bytes >= 1e8 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
