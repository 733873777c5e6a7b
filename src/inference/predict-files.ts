/** Segments files and folders of NIfTI, in this process. */
import fs from "node:fs/promises";
import { DistmisError } from "../errors/index.ts";
import { listNifti } from "../nifti/index.ts";
import { loadTensorFlow } from "../tensorflow/index.ts";
import { ensemble } from "./ensemble.ts";
import { findCheckpoint } from "./find-checkpoint.ts";
import { loadModel, type Model } from "./model.ts";
import { predictFile, predictionName } from "./predict.ts";

export interface PredictOptions {
  /** A checkpoint, or the folder of a trial or run (then its best); of several, the mean of their probabilities counts. */
  model: string | readonly string[];
  /** NIfTI files, or folders of them. */
  inputs: readonly string[];
  /** Made if it does not exist. */
  outputDir: string;
  /** TensorFlow's threads; default: one for each CPU. */
  threads?: number;
  signal?: AbortSignal;
}

async function filesOf(input: string): Promise<string[]> {
  const isFile = await fs.stat(input).then(
    (status) => !status.isDirectory(),
    () => false,
  );
  return isFile ? [input] : listNifti(input);
}

/**
 * Writes a segmentation for each image, as .nii.gz of the image's name with its shape, affine and spacing.
 * Yields each file as it is written.
 * @throws DistmisError FILE_UNUSABLE, DATA_INVALID (naming the file, or two models that don't fit together), USAGE (two inputs
 * of one name), INTERRUPTED.
 */
export async function* predict(
  options: PredictOptions,
): AsyncGenerator<{ input: string; output: string; total: number }> {
  const files = (await Promise.all(options.inputs.map(filesOf))).flat();
  const byName = new Map<string, string>();
  for (const file of files) {
    const other = byName.get(predictionName(file));
    if (other !== undefined) {
      throw new DistmisError(
        "USAGE",
        `${other} and ${file} would both be written to ${predictionName(file)}: predict them into two folders`,
      );
    }
    byName.set(predictionName(file), file);
  }
  const places = typeof options.model === "string" ? [options.model] : options.model;
  const checkpoints = await Promise.all(places.map(findCheckpoint));
  const runtime = loadTensorFlow(options.threads === undefined ? {} : { threads: options.threads });
  const models: Model[] = [];
  try {
    for (const checkpoint of checkpoints) models.push(await loadModel(runtime, checkpoint));
    const all = ensemble(models);
    await fs.mkdir(options.outputDir, { recursive: true });
    for (const input of files) {
      if (options.signal?.aborted) throw new DistmisError("INTERRUPTED", "stopped by the user");
      const { file } = await predictFile(all, input, options.outputDir);
      yield { input, output: file, total: files.length };
    }
  } finally {
    for (const model of models) model.dispose();
  }
}
