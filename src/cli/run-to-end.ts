/** What `run`, `exp-parallel` and `data-parallel` do. */
import { existsSync } from "node:fs";
import path from "node:path";
import {
  type Cluster,
  connect,
  createReporter,
  DistmisError,
  formatMetric,
  formatParameters,
  type LoadOptions,
  loadExperiment,
  type Run,
  type RunResults,
  resultsTable,
  runExperiment,
} from "../index.ts";
import type { RunArguments } from "./run-options.ts";
import { listenForStop, stoppedExitCode } from "./signals.ts";
import { writeOut } from "./write-out.ts";

/**
 * Runs an experiment file, shows it, and sets the exit code: 1 if every trial failed, see stoppedExitCode after a stop.
 * @param flatMode which of DistMIS's programs a file of its own is for
 */
export async function runToEnd(file: string, args: RunArguments, flatMode?: LoadOptions["flatMode"]): Promise<void> {
  for (const name of ["gpus", "cpus"] as const) checkCount(name, args[name]);
  const experiment = await loadExperiment(file, {
    ...(args.set === undefined ? {} : { set: args.set }),
    ...(args["dataset-dir"] === undefined ? {} : { datasetDir: args["dataset-dir"] }),
    ...(flatMode === undefined ? {} : { flatMode }),
  });
  const runDir = args["run-dir"] ?? defaultRunDir(experiment.name, args.fresh === true);
  const signals = listenForStop(() => {
    process.stderr.write("stopping: running trials end after their step; press Ctrl-C again to kill them\n");
  });
  let cluster: Cluster | undefined;
  try {
    const run = runExperiment(
      async () => {
        cluster = await connect({
          ...(args["ray-address"] === undefined ? {} : { rayAddress: args["ray-address"] }),
          ...(args.gpus === undefined ? {} : { gpus: args.gpus }),
          ...(args.cpus === undefined ? {} : { cpus: args.cpus }),
          signal: signals.stop,
        });
        return cluster;
      },
      experiment,
      {
        runDir,
        extend: args.extend === true,
        retryFailed: args["retry-failed"] === true,
        signal: signals.stop,
        killSignal: signals.kill,
      },
    );
    const results = await show(run, args.json, experiment.train.debug);
    if (!args.json) printResults(results);
    if (results.state === "interrupted") process.exitCode = stoppedExitCode();
    else if (results.trials.every((trial) => trial.state === "failed")) process.exitCode = 1;
  } finally {
    await cluster?.close();
    signals.release();
  }
}

function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0)) return;
  throw new DistmisError("USAGE", `--${name}: expected a whole number of at least 0, found ${value}`);
}

function defaultRunDir(name: string, fresh: boolean): string {
  const first = path.join("runs", name);
  if (!fresh || !existsSync(first)) return first;
  for (let number = 2; ; number++) {
    const dir = `${first}-${number}`;
    if (!existsSync(dir)) return dir;
  }
}

/** @param trialOutput shows what the trials print, too */
export async function show(run: Run, json: boolean, trialOutput = false): Promise<RunResults> {
  if (json) {
    for await (const event of run) {
      // A pipe that is full slows the run down rather than filling memory.
      await writeOut(`${JSON.stringify(event)}\n`);
    }
    return run.results;
  }
  const reporter = createReporter(process.stderr, { trialOutput });
  try {
    for await (const event of run) reporter.event(event);
  } finally {
    reporter.close();
  }
  return run.results;
}

export function printResults(results: RunResults): void {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  if (results.trials.length > 0) console.log(resultsTable(results, { width }));
  const { best, metric, model, runDir } = results;
  if (best?.best) {
    const parameters = formatParameters(best.parameters);
    const value = `${metric} ${formatMetric(best.best.value)} at epoch ${best.best.epoch}`;
    console.log(`best trial ${best.trial}: ${value}${parameters === "" ? "" : ` (${parameters})`}`);
  }
  if (model !== null) console.log(`model folder: ${model}`);
  console.log(`run folder: ${runDir}`);
  if (results.state === "interrupted") console.log("stopped; the same command continues it");
}
