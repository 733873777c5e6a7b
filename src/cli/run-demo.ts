/** What `demo` does; each step is a command of its own as well. */
import path from "node:path";
import {
  connect,
  DistmisError,
  exportModel,
  findCheckpoint,
  loadExperiment,
  makePhantom,
  packageRoot,
  type RunResults,
  runExperiment,
  runTask,
  trialConfig,
  writeTfrecords,
} from "../index.ts";
import type { DemoArguments } from "./demo.ts";
import { progressLine } from "./progress.ts";
import { say } from "./say.ts";
import { printResults, show } from "./show-run.ts";
import { listenForStop, type StopSignals } from "./signals.ts";
import { parseTriple } from "./tuple.ts";

const PHANTOM = { count: 24, shape: [32, 32, 32], seed: 1 } as const;
/** By experience with configs/demo.yaml: from here on the better trials segment well. */
const DEMO_STEPS = 80;
const LEAST_EPOCHS = 3;
const MOST_EPOCHS = 30;

/** So many epochs that a trial makes at least about DEMO_STEPS steps of two volumes. */
function defaultEpochs(trainingVolumes: number): number {
  const steps = Math.ceil(Math.max(1, trainingVolumes) / 2);
  return Math.max(LEAST_EPOCHS, Math.min(Math.ceil(DEMO_STEPS / steps), MOST_EPOCHS));
}

/** 20261122-231500, so that folders sort by age. */
function timestamp(): string {
  return new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

export async function runDemo(args: DemoArguments): Promise<void> {
  const runDir = path.resolve(args["run-dir"] ?? path.join("runs", `demo-${timestamp()}`));
  const signals = listenForStop(() => {
    say("stopping: running trials end after their step; press Ctrl-C again to kill them");
  });
  try {
    const sourceDir = args["source-dir"] ?? (await phantom(path.join(runDir, "msd"), signals.stop));
    const dataset = await tfrecords(sourceDir, path.join(runDir, "tfrecords"), args.split, signals.stop);
    await search(args, runDir, dataset, signals);
  } finally {
    signals.release();
  }
}

async function phantom(targetDir: string, signal: AbortSignal): Promise<string> {
  console.log(`making a phantom: ${PHANTOM.count} volumes of ${PHANTOM.shape.join(" x ")}, 4 modalities`);
  await makePhantom({ targetDir, ...PHANTOM, signal });
  return targetDir;
}

async function tfrecords(sourceDir: string, targetDir: string, split: string[] | undefined, signal: AbortSignal) {
  const line = progressLine("Writing TFRecords", "volumes");
  try {
    const ratios = split === undefined ? {} : { split: parseTriple("split", split, "0.7,0.15,0.15") };
    const { info, notes } = await writeTfrecords(
      { sourceDir, targetDir, reshape: "auto", ...ratios, signal },
      ({ phase, done, total }) => {
        if (phase === "write") line.update(done, total);
      },
    );
    line.stop();
    for (const note of notes) console.log(`Note: ${note}.`);
    const { train_size, valid_size, test_size, distmis } = info;
    console.log(
      `data: ${train_size} train, ${valid_size} valid, ${test_size} test volumes of ${distmis?.image_shape.join(" x ")}`,
    );
    return { dir: targetDir, trainSize: train_size, testSize: test_size };
  } finally {
    line.stop();
  }
}

async function search(
  args: DemoArguments,
  runDir: string,
  dataset: { dir: string; trainSize: number; testSize: number },
  signals: StopSignals,
): Promise<void> {
  const epochs = args.epochs ?? defaultEpochs(dataset.trainSize);
  const experiment = await loadExperiment(path.join(packageRoot(), "configs", "demo.yaml"), {
    set: [`train.epochs=${epochs}`, ...(args.set ?? [])],
    datasetDir: dataset.dir,
  });
  const cluster = await connect({ gpus: args.gpus, signal: signals.stop });
  let results: RunResults;
  let measured: Record<string, number> = {};
  const split = dataset.testSize > 0 ? "test" : "valid";
  const predictions = path.join(runDir, "predictions");
  try {
    const run = runExperiment(cluster, experiment, {
      runDir: path.join(runDir, "search"),
      signal: signals.stop,
      killSignal: signals.kill,
    });
    results = await show(run, false);
    if (results.state === "finished" && results.best) {
      const checkpoint = await findCheckpoint(results.best.dir);
      measured = await runTask(cluster, {
        config: trialConfig(experiment, results.best.parameters),
        task: "evaluate",
        taskInput: { checkpoint, split, predictions },
        trialDir: path.join(runDir, "evaluation"),
        signal: signals.stop,
      });
      if (results.model) {
        await exportModel({ checkpoint, output: results.model, overwrite: true, measured: { [split]: measured } });
      }
    }
  } finally {
    await cluster.close();
  }
  printResults(results);
  if (results.state === "interrupted") throw new DistmisError("INTERRUPTED", "stopped before the search had ended");
  if (!results.best)
    throw new DistmisError("TRIAL_FAILED", `no trial came to a result: see ${path.join(results.runDir, "trials")}`);
  if (split === "valid") console.log("the test split is empty, so the best model is measured on validation");
  console.log(`segmentations: ${measured.predictions ?? 0} NIfTI files in ${predictions}`);
  console.log(`best model: ${await findCheckpoint(results.best.dir)}`);
  console.log(`${split === "test" ? "test" : "validation"} Dice ${(measured.dice ?? Number.NaN).toFixed(3)}`);
}
