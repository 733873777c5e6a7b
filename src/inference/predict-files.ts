/** Segments files and folders of NIfTI, in this process. */
import fs from "node:fs/promises";
import path from "node:path";
import { channelsOf, type Preprocessing, shapeBeforeFit } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { listNifti, readNiftiHeader } from "../nifti/index.ts";
import { makeFolder } from "../paths/index.ts";
import { loadTensorFlow } from "../tensorflow/index.ts";
import { ensemble } from "./ensemble.ts";
import { findCheckpoint } from "./find-checkpoint.ts";
import { loadModel, type Model } from "./model.ts";
import { predictFile, predictionName, probabilitiesName } from "./predict.ts";

export interface PredictOptions {
  /** A checkpoint, or the folder of a trial or run (then its best); of several, the mean of their probabilities counts. */
  model: string | readonly string[];
  /** NIfTI files, or folders of them. */
  inputs: readonly string[];
  /** Made if it does not exist. */
  outputDir: string;
  /** Write probabilities/NAME_prob.nii.gz as well. */
  probabilities?: boolean;
  /** Share of a window by which neighbours overlap, from 0 to below 1, for images larger than what the model was trained on. Default 0.5. */
  overlap?: number;
  /** Leave out images whose outputs are there. Default: outputs are replaced. */
  skipExisting?: boolean;
  /** TensorFlow's threads; default: one for each CPU. */
  threads?: number;
  signal?: AbortSignal;
}

export interface Prediction {
  input: string;
  output: string;
  /** Null if they weren't asked for. */
  probabilities: string | null;
  seconds: number;
  /** Its outputs were there before. */
  skipped: boolean;
  /** Place of the image, from 1, and how many there are. */
  number: number;
  total: number;
}

interface Case {
  input: string;
  output: string;
  probabilities: string | null;
}

/**
 * Writes a segmentation for each image, as .nii.gz of the image's name with its shape, affine and spacing.
 * Yields each file as it is written, in the order of the inputs.
 *
 * @param onProgress images done, with the part of the one that is being worked on, and all of them
 * @throws DistmisError FILE_UNUSABLE, DATA_INVALID (naming the file, or two models that don't fit together), USAGE (an option, two
 * inputs of one name, an output that is its image), INTERRUPTED. Headers of all images are checked before the first one is predicted.
 */
export async function* predict(
  options: PredictOptions,
  onProgress: (done: number, total: number) => void = () => {},
): AsyncGenerator<Prediction> {
  const { overlap, threads, signal } = options;
  if (overlap !== undefined && !(overlap >= 0 && overlap < 1))
    throw new DistmisError("USAGE", `--overlap ${overlap}: expected a number from 0 to below 1`);
  const cases = await plan(options);
  for (const one of cases) await checkOutput(one);
  const places = typeof options.model === "string" ? [options.model] : options.model;
  const checkpoints = await Promise.all(places.map(findCheckpoint));
  const runtime = loadTensorFlow(threads === undefined ? {} : { threads });
  const models: Model[] = [];
  try {
    for (const checkpoint of checkpoints) models.push(await loadModel(runtime, checkpoint));
    const all = ensemble(models);
    await makeFolder(options.outputDir);
    const existing = options.skipExisting ? await existingOf(cases) : new Set<Case>();
    for (const one of cases) if (!existing.has(one)) await checkImage(one.input, all.recipe);
    const total = cases.length;
    for (const [index, one] of cases.entries()) {
      if (signal?.aborted) throw new DistmisError("INTERRUPTED", "stopped by the user");
      const started = performance.now();
      const skipped = existing.has(one);
      if (!skipped) {
        await predictFile(all, one.input, options.outputDir, {
          probabilities: one.probabilities !== null,
          ...(overlap === undefined ? {} : { overlap }),
          ...(signal === undefined ? {} : { signal }),
          onWindow: (done, windows) => onProgress(index + done / windows, total),
        });
      }
      onProgress(index + 1, total);
      yield { ...one, seconds: (performance.now() - started) / 1000, skipped, number: index + 1, total };
    }
  } finally {
    for (const model of models) model.dispose();
  }
}

/** The images and what is written for each. Errors: USAGE where two would be written to one file. */
async function plan({ inputs, outputDir, probabilities = false }: PredictOptions): Promise<Case[]> {
  const files = (await Promise.all(inputs.map(filesOf))).flat();
  const byName = new Map<string, string>();
  return files.map((input) => {
    const name = predictionName(input);
    const other = byName.get(name);
    if (other !== undefined) {
      throw new DistmisError(
        "USAGE",
        `${other} and ${input} would both be written to ${name}: predict them into two folders`,
      );
    }
    byName.set(name, input);
    return {
      input,
      output: path.join(outputDir, name),
      probabilities: probabilities ? path.join(outputDir, probabilitiesName(input)) : null,
    };
  });
}

/** Errors: USAGE where the output is the image. */
async function checkOutput({ input, output }: Case): Promise<void> {
  const [image, written] = await Promise.all([input, output].map((file) => fs.stat(file).catch(() => null)));
  if (image && written && image.dev === written.dev && image.ino === written.ino)
    throw new DistmisError("USAGE", `${input}: its segmentation would take its place; name another folder as --output`);
}

async function filesOf(input: string): Promise<string[]> {
  const isFile = await fs.stat(input).then(
    (status) => !status.isDirectory(),
    () => false,
  );
  return isFile ? [input] : listNifti(input);
}

async function existingOf(cases: readonly Case[]): Promise<Set<Case>> {
  const isThere = (file: string | null): Promise<boolean> =>
    file === null
      ? Promise.resolve(true)
      : fs.access(file).then(
          () => true,
          () => false,
        );
  const found = await Promise.all(
    cases.map(async (one) => (await isThere(one.output)) && (await isThere(one.probabilities))),
  );
  return new Set(cases.filter((_, index) => found[index]));
}

/** Whether a model with this recipe can read the image, by its header. Errors: as readNiftiHeader; DATA_INVALID naming the file. */
async function checkImage(file: string, recipe: Preprocessing): Promise<void> {
  const header = await readNiftiHeader(file);
  channelsOf(header, recipe);
  shapeBeforeFit(header, recipe);
}
