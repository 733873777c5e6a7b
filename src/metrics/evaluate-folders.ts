/** A folder of segmentations against a folder of labels. */
import { checkPair } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { listNifti, type NiftiImage, niftiStem, readNifti } from "../nifti/index.ts";
import { readClassNames } from "./class-names.ts";
import { overlapCounts } from "./overlap.ts";
import { classScores, meanScores, type Scores } from "./scores.ts";
import { hausdorff95 } from "./surface.ts";

export interface EvaluateOptions {
  /** Folder of NIfTI segmentations. */
  predictions: string;
  /** Folder of NIfTI labels of the same names and grids. */
  labels: string;
  /** Every class above 0 counts as class 1, as for a binary model. */
  merge?: boolean;
  /** Labels without a prediction are left out instead of refused. */
  partial?: boolean;
  /** dataset.json with the classes' names; default: that of the folder above `labels`, if there is one. */
  datasetJson?: string;
  signal?: AbortSignal;
}

/** Scores by class (its value in the files) and their mean over the foreground classes. */
export interface ScoreTable {
  classes: Record<string, Scores>;
  foreground: Scores;
}

export interface CaseScores extends ScoreTable {
  /** The files' common name. */
  case: string;
  prediction: string;
  label: string;
}

/** The JSON of `distmis evaluate --json`, see docs/data-formats.md. */
export interface EvaluationResult {
  format: 1;
  /** Foreground classes found in any file, ascending; [1] if there are none. */
  classes: number[];
  /** Of those of `classes` whose name is known, by the value. */
  names: Record<string, string>;
  cases: CaseScores[];
  /** Over the cases. */
  mean: ScoreTable;
  /** What a person should know to read the scores. */
  notes: string[];
}

/**
 * Measures each prediction against the label of its name.
 *
 * Errors: FILE_UNUSABLE (a folder or a counterpart is missing), DATA_INVALID naming the files (two of one name, another grid, voxels
 * that are no class, a dataset.json without legal `labels`), INTERRUPTED.
 */
export async function evaluateFolders(
  options: EvaluateOptions,
  onCase: (done: number, total: number) => void = () => {},
): Promise<EvaluationResult> {
  const pairs = await pairFiles(options);
  const known = await readClassNames(options.labels, options.datasetJson);
  const measured: ({ name: string; prediction: string; label: string } & Measured)[] = [];
  for (const [index, pair] of pairs.entries()) {
    if (options.signal?.aborted) throw new DistmisError("INTERRUPTED", "stopped by the user");
    measured.push({ ...pair, ...(await measure(pair.prediction, pair.label, options.merge ?? false)) });
    onCase(index + 1, pairs.length);
  }
  const found = new Set(measured.flatMap(({ scores }) => [...scores.keys()]));
  const classes = found.size === 0 ? [1] : [...found].sort((a, b) => a - b);
  const absent = classScores({ truth: 0, predicted: 0, common: 0 }, 0, 0);
  const cases = measured.map(({ name, prediction, label, scores }) => {
    const table = tableOf(classes, (value) => scores.get(value) ?? absent);
    return { case: name, prediction, label, ...table };
  });
  const mean = tableOf(classes, (value) =>
    meanScores(cases.map((each) => each.classes[String(value)]).filter((scores) => scores !== undefined)),
  );
  // The one class of all has none of their names.
  const named = options.merge ? [] : classes.map((value) => [String(value), known.get(value)] as const);
  const names = Object.fromEntries(named.flatMap(([value, name]) => (name === undefined ? [] : [[value, name]])));
  const predicted = new Set(measured.flatMap((each) => [...each.predicted]));
  const notes: string[] = [];
  if (found.size > 0 && predicted.size === 0) notes.push("the predictions are empty: they hold background alone");
  else if (classes.length > 1 && !options.merge && [...predicted].every((value) => value === 1)) {
    notes.push(
      `the predictions hold class 1 alone, the labels ${classes.join(", ")}: those of a binary model are measured with --merge`,
    );
  }
  return { format: 1, classes, names, cases, mean, notes };
}

function tableOf(classes: readonly number[], scoresOf: (value: number) => Scores): ScoreTable {
  const scores = classes.map((value) => [String(value), scoresOf(value)] as const);
  return { classes: Object.fromEntries(scores), foreground: meanScores(scores.map(([, each]) => each)) };
}

async function pairFiles({ predictions, labels, partial = false }: EvaluateOptions) {
  const [predicted, truths] = [await byStem(predictions), await byStem(labels)];
  const pairs = [...predicted].map(([name, prediction]) => {
    const label = truths.get(name);
    if (label !== undefined) return { name, prediction, label };
    throw new DistmisError("FILE_UNUSABLE", `${prediction}: there is no label of its name in ${labels}`);
  });
  const missing = [...truths].filter(([name]) => !predicted.has(name)).map(([, file]) => file);
  if (missing.length > 0 && !partial) {
    const others = missing.length > 1 ? ` and ${missing.length - 1} other labels` : "";
    throw new DistmisError(
      "FILE_UNUSABLE",
      `${missing[0]}${others}: there is no prediction of that name in ${predictions}; --partial measures what is there`,
    );
  }
  return pairs;
}

async function byStem(dir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const file of await listNifti(dir)) {
    const other = files.get(niftiStem(file));
    if (other !== undefined) throw new DistmisError("DATA_INVALID", `${other} and ${file}: two files of one name`);
    files.set(niftiStem(file), file);
  }
  return files;
}

interface Measured {
  /** Of the classes that are in either file. */
  scores: Map<number, Scores>;
  /** Classes in the prediction. */
  predicted: Set<number>;
}

async function measure(predictionFile: string, labelFile: string, merge: boolean): Promise<Measured> {
  const [prediction, label] = [await readNifti(predictionFile), await readNifti(labelFile)];
  checkSameGrid(prediction, label);
  const predicted = classesOf(prediction);
  const found = [...new Set([...predicted, ...classesOf(label)])];
  const classes = merge && found.length > 0 ? [1] : found;
  const counts = overlapCounts(label.data, prediction.data, classes, merge);
  const [x = 1, y = 1, z = 1] = label.shape;
  const [dx, dy, dz] = label.spacing;
  const scores = new Map<number, Scores>();
  for (const [value, count] of counts) {
    const isClass = merge ? (voxel: number) => voxel > 0 : (voxel: number) => voxel === value;
    const hd95 = hausdorff95(label.data, prediction.data, isClass, [x, y, z], label.spacing);
    scores.set(value, classScores(count, dx * dy * dz, hd95));
  }
  return { scores, predicted };
}

function checkSameGrid(prediction: NiftiImage, label: NiftiImage): void {
  for (const { path, shape } of [prediction, label]) {
    if (shape.slice(3).every((size) => size === 1)) continue;
    throw new DistmisError("DATA_INVALID", `${path}: a segmentation of shape ${shape.join(" x ")}, expected X x Y x Z`);
  }
  checkPair(prediction, label);
}

/** Values above 0 that occur. */
function classesOf({ path, data }: NiftiImage): Set<number> {
  const found = new Set<number>();
  let last = 0;
  for (let at = 0; at < data.length; at++) {
    const value = data[at] ?? 0;
    if (value === last) continue;
    if (!Number.isInteger(value) || value < 0) {
      throw new DistmisError(
        "DATA_INVALID",
        `${path}: voxel ${at} is ${value}, expected classes: whole numbers from 0`,
      );
    }
    last = value;
    if (value > 0) found.add(value);
  }
  return found;
}
