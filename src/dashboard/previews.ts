/** What the viewer shows: validation cases from the data set's records, and what a trial made of them. */
import path from "node:path";
import { trialConfig } from "../config/index.ts";
import { gridAffine, moveFirstAxisFirst, readInfo } from "../data/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { encodeNifti, niftiStem, readNifti } from "../nifti/index.ts";
import type { PreviewsView } from "../page-data/index.ts";
import { loadSample, type PictureVolume, percentileWindow } from "../picture/index.ts";
import { previewFiles, readPreviews, runFiles } from "../run-folder/index.ts";
import { finite } from "./curves.ts";
import type { RunBoard } from "./run-board.ts";

/** What a trial has kept, and whether there is something to show it on. */
export async function previewsOf(board: RunBoard, trial: string): Promise<PreviewsView> {
  const facts = await readPreviews(board.dir, trial);
  const indices = [...new Set(facts.flatMap(({ cases }) => cases))].toSorted((a, b) => a - b);
  const view: PreviewsView = {
    classes: {},
    channels: [],
    cases: indices.map((index) => ({ index, name: `validation case ${index}` })),
    epochs: facts.map(({ epoch, dice, cases }) => ({
      epoch,
      cases,
      dice: dice.map((each) => finite(each ?? Number.NaN)),
    })),
    missing: null,
  };
  const [first] = indices;
  if (first === undefined) return { ...view, missing: whyNone(board, trial) };
  try {
    const { distmis } = await readInfo(dataDir(board, trial));
    const sample = await caseOf(board, trial, first);
    return {
      ...view,
      classes: Object.fromEntries(sample.truth?.names ?? []),
      channels: sample.channels.map(({ name }) => name),
      cases: indices.map((index) => {
        const file = distmis?.samples.valid[index]?.image.path;
        return { index, name: file === undefined ? `validation case ${index}` : niftiStem(file) };
      }),
    };
  } catch (error) {
    // Another machine, or a data set that is gone: the segmentations are there all the same.
    return { ...view, missing: messageOf(error) };
  }
}

function whyNone(board: RunBoard, trial: string): string {
  const { experiment } = board;
  if (experiment?.trainer.module !== undefined) return "a trainer module of one's own keeps no segmentations";
  if (experiment?.train.previews === 0) return "this experiment keeps no segmentations: train.previews is 0";
  return `trial ${trial} has kept no segmentations: it has not finished an epoch, was run by an older distmis, or gc removed them`;
}

/** @throws DistmisError if the data set can't be read, or does not hold the case */
function caseOf(board: RunBoard, trial: string, index: number): Promise<PictureVolume> {
  return loadSample({ datasetDir: dataDir(board, trial), sample: index, split: "valid" });
}

function dataDir({ experiment, state }: RunBoard, trial: string): string {
  const parameters = state.trials.get(trial)?.parameters;
  const dir = experiment && parameters && trialConfig(experiment, parameters).data?.dir;
  if (dir == null) throw new DistmisError("CONFIG_INVALID", `trial ${trial}: its experiment names no data set`);
  return dir;
}

/** One channel of a case in 256 greys, as a .nii.gz file. */
export async function imageFile(board: RunBoard, trial: string, index: number, channel: number): Promise<Buffer> {
  const sample = await caseOf(board, trial, index);
  const found = sample.channels[channel];
  if (found === undefined) throw new DistmisError("USAGE", `case ${index} has no channel ${channel}`);
  const { low, high } = percentileWindow(found.data);
  const grey = (value: number): number => Math.round(Math.min(1, Math.max(0, (value - low) / (high - low))) * 255);
  return file(`case ${index}`, sample, found.data, grey);
}

/** The classes of a case by its label, as a .nii.gz file. */
export async function truthFile(board: RunBoard, trial: string, index: number): Promise<Buffer> {
  const sample = await caseOf(board, trial, index);
  return file(`case ${index}`, sample, sample.truth?.values ?? new Uint16Array(), (value) => value);
}

function file(
  name: string,
  { shape, ...lie }: PictureVolume,
  data: ArrayLike<number>,
  map: (value: number) => number,
): Promise<Buffer> {
  const moved = moveFirstAxisFirst(Float32Array.from(data), shape);
  return encodeNifti(name, { data: Uint8Array.from(moved, map), shape, affine: affineOf(lie) });
}

function affineOf({ spacing, orientation }: Pick<PictureVolume, "spacing" | "orientation">) {
  return gridAffine(spacing, orientation);
}

/** What the trial made of a case, as a .nii.gz file on the grid of {@link imageFile}. */
export async function predictionFile(board: RunBoard, trial: string, index: number, epoch: number): Promise<Buffer> {
  const stored = await readNifti(path.join(runFiles.trial(board.dir, trial), previewFiles.volume(epoch, index)));
  const { shape, data } = stored;
  const sample = await caseOf(board, trial, index).catch(() => null);
  const affine = sample === null ? stored.affine : affineOf(sample);
  return encodeNifti(`epoch ${epoch}, case ${index}`, { data: Uint8Array.from(data), shape, affine });
}
