// @ts-check
/**
 * A task of its own: says how large the label of a volume is (the mean of its voxels) from the mean and the brightest voxel of
 * the image, by linear regression. Nothing in it is about segmentation, and it needs neither TensorFlow nor a GPU; see
 * docs/trainer-module.md.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { inspectNifti } from "distmis";

/**
 * @typedef {{ features: number[], target: number }} Sample
 * @typedef {{ epoch: number, weights: number[], velocity: number[], history: Record<string, number>[] }} State
 */

const CHECKPOINT = "regression.json";

/** @type {import("distmis/trainer").Task} */
export default {
  async run(trial) {
    const { dir, rate, momentum, steps } = parametersOf(trial.config.trainer.parameters);
    const epochs = trial.config.train.epochs;
    const samples = await samplesOf(dir, trial.shared);
    const training = samples.filter((_, index) => index % 4 !== 0);
    const validation = samples.filter((_, index) => index % 4 === 0);
    if (validation.length === 0 || training.length === 0) throw new Error(`${dir}: expected at least 2 volumes`);

    const checkpoint = path.join(trial.dir, CHECKPOINT);
    const state = (await load(checkpoint)) ?? { epoch: 0, weights: [0, 0, 0], velocity: [0, 0, 0], history: [] };
    /** @param {number} epoch @param {number} seconds */
    const report = (epoch, seconds) =>
      trial.report({
        epoch,
        epochs,
        metrics: state.history[epoch - 1] ?? {},
        seconds,
        volumesPerSecond: seconds > 0 ? (training.length * steps) / seconds : 0,
        checkpoint: CHECKPOINT,
      });

    // What was saved and never reached the run, as something died in between.
    for (let epoch = trial.reportedEpoch + 1; epoch <= state.epoch; epoch++) await report(epoch, 0);

    while (state.epoch < epochs) {
      if (trial.stopRequested()) return { stopped: true, metrics: {} };
      const started = performance.now();
      for (let step = 0; step < steps; step++) descend(state, training, rate, momentum);
      const metrics = { loss: meanSquare(state.weights, training), val_loss: meanSquare(state.weights, validation) };
      if (!Number.isFinite(metrics.loss))
        throw new Error(`the loss is ${metrics.loss}: try a smaller rate than ${rate}`);
      state.epoch += 1;
      state.history.push(metrics);
      // Saved before it is reported: the run must never know of an epoch that is not there to go on from.
      await save(checkpoint, state);
      await report(state.epoch, (performance.now() - started) / 1000);
    }
    console.log(`weights ${state.weights.map((weight) => weight.toFixed(4)).join(" ")}`);
    return { stopped: false, metrics: { val_volumes: validation.length } };
  },
};

/** @param {Record<string, unknown>} parameters */
function parametersOf({ dir, rate = 0.1, momentum = 0.9, steps = 20 }) {
  if (typeof dir !== "string") throw new Error("trainer.parameters.dir: expected a folder with imagesTr and labelsTr");
  if (typeof rate !== "number" || typeof momentum !== "number" || typeof steps !== "number") {
    throw new Error("trainer.parameters: expected numbers as rate, momentum and steps");
  }
  return { dir, rate, momentum, steps };
}

/**
 * The data set, read by the first trial of a trainer and kept for those after it.
 * @param {string} dir
 * @param {Map<string, unknown>} shared
 */
async function samplesOf(dir, shared) {
  const key = `label-size ${dir}`;
  const samples = /** @type {Sample[] | undefined} */ (shared.get(key)) ?? (await readSamples(dir));
  shared.set(key, samples);
  return samples;
}

/** @param {string} dir @returns {Promise<Sample[]>} */
async function readSamples(dir) {
  const { training } = JSON.parse(await readFile(path.join(dir, "dataset.json"), "utf8"));
  const samples = [];
  for (const pair of training) {
    const image = await inspectNifti(path.join(dir, pair.image));
    const label = await inspectNifti(path.join(dir, pair.label));
    samples.push({ features: [mean(image), image.max ?? 0], target: 100 * mean(label) });
  }
  return standardised(samples);
}

/** @param {import("distmis").NiftiInspection} volume */
function mean({ sum, shape }) {
  return (sum ?? 0) / shape.reduce((product, side) => product * side, 1);
}

/** @param {Sample[]} samples @returns {Sample[]} with features of mean 0 and deviation 1, and a 1 for the offset */
function standardised(samples) {
  const columns = [0, 1].map((column) => {
    const values = samples.map(({ features }) => features[column] ?? 0);
    const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length);
    return { middle, deviation: deviation || 1 };
  });
  return samples.map(({ features, target }) => ({
    features: [...columns.map(({ middle, deviation }, at) => ((features[at] ?? 0) - middle) / deviation), 1],
    target,
  }));
}

/** @param {number[]} weights @param {Sample} sample */
function errorOf(weights, { features, target }) {
  return features.reduce((sum, feature, at) => sum + feature * (weights[at] ?? 0), 0) - target;
}

/** @param {number[]} weights @param {Sample[]} samples */
function meanSquare(weights, samples) {
  return samples.reduce((sum, sample) => sum + errorOf(weights, sample) ** 2, 0) / samples.length;
}

/** @param {State} state @param {Sample[]} samples @param {number} rate @param {number} momentum */
function descend(state, samples, rate, momentum) {
  const errors = samples.map((sample) => errorOf(state.weights, sample));
  state.velocity = state.velocity.map((velocity, at) => {
    const gradient = samples.reduce((sum, { features }, row) => sum + (errors[row] ?? 0) * (features[at] ?? 0), 0);
    return momentum * velocity - (rate * gradient) / samples.length;
  });
  state.weights = state.weights.map((weight, at) => weight + (state.velocity[at] ?? 0));
}

/** @param {string} file @returns {Promise<State | null>} null for a trial that begins */
async function load(file) {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** @param {string} file @param {State} state */
async function save(file, state) {
  // Renamed into its place: whoever is killed here leaves the old file or the new one, never half of one.
  await writeFile(`${file}.tmp`, JSON.stringify(state));
  await rename(`${file}.tmp`, file);
}
