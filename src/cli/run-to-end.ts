/** What `run`, `exp-parallel` and `data-parallel` do. */
import { existsSync } from "node:fs";
import path from "node:path";
import { type Cluster, connect, type LoadOptions, loadExperiment, runExperiment } from "../index.ts";
import { checkCount } from "./check-count.ts";
import { printDryRun } from "./dry-run.ts";
import type { RunArguments } from "./run-options.ts";
import { finish, show } from "./show-run.ts";
import { listenForStop } from "./signals.ts";

/**
 * Runs an experiment file, shows it, and sets the exit code: 1 if every trial failed, see stoppedExitCode after a stop.
 * @param flatMode which of DistMIS's programs a file of its own is for
 */
export async function runToEnd(file: string, args: RunArguments, flatMode?: LoadOptions["flatMode"]): Promise<void> {
  for (const name of ["gpus", "cpus"] as const) checkCount(name, args[name]);
  const experiment = await loadExperiment(file, {
    ...(args.set === undefined ? {} : { set: args.set }),
    ...(args["dataset-dir"] === undefined ? {} : { datasetDir: args["dataset-dir"] }),
    ...stageOption(args),
    ...(flatMode === undefined ? {} : { flatMode }),
  });
  if (args.server !== undefined) {
    const { submitAndFollow } = await import("./submit.ts");
    await submitAndFollow(experiment, args);
    return;
  }
  const runDir = args["run-dir"] ?? defaultRunDir(experiment.name, args.fresh === true);
  if (args["dry-run"] === true) return printDryRun(experiment, runDir, args);
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
        diskCheck: args["disk-check"],
        signal: signals.stop,
        killSignal: signals.kill,
      },
    );
    finish(await show(run, args.json, experiment.train.debug), args.json);
  } finally {
    await cluster?.close();
    signals.release();
  }
}

function stageOption({ "stage-to-local": dir, "stage-limit": limit }: RunArguments): Pick<LoadOptions, "stage"> {
  if (dir === undefined) return {};
  return {
    stage: {
      ...(dir === "" ? {} : { dir }),
      ...(limit === undefined ? {} : { limit_gigabytes: limit }),
    },
  };
}

function defaultRunDir(name: string, fresh: boolean): string {
  const first = path.join("runs", name);
  if (!fresh || !existsSync(first)) return first;
  for (let number = 2; ; number++) {
    const dir = `${first}-${number}`;
    if (!existsSync(dir)) return dir;
  }
}
