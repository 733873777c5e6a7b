/** What `run`, `exp-parallel` and `data-parallel` do. */
import {
  type Cluster,
  clearCommand,
  connect,
  defaultRunDir,
  type LoadOptions,
  loadExperiment,
  type RunResults,
  runExperiment,
  startOnFirstNode,
} from "../index.ts";
import { checkCount } from "./check-count.ts";
import { printDryRun } from "./dry-run.ts";
import { loadOptions, sayIfUnstaged } from "./load-options.ts";
import { type Attempt, recordThisJob, runInJob } from "./run-in-job.ts";
import type { RunArguments } from "./run-options.ts";
import { say } from "./say.ts";
import { finish, show } from "./show-run.ts";
import { listenForStop } from "./signals.ts";
import { slurmConnection } from "./slurm-options.ts";

/** A job is warned a minute before its end, or more: a long step and its checkpoint may take a part of that. */
const JOB_GRACE_SECONDS = 30;

/**
 * Runs an experiment file, shows it, and sets the exit code: 1 if every trial failed, see stoppedExitCode after a stop.
 * @param flatMode which of DistMIS's programs a file of its own is for
 */
export async function runToEnd(file: string, args: RunArguments, flatMode?: LoadOptions["flatMode"]): Promise<void> {
  for (const name of ["gpus", "cpus"] as const) checkCount(name, args[name]);
  const experiment = await loadExperiment(file, {
    ...loadOptions(args),
    ...(flatMode === undefined ? {} : { flatMode }),
  });
  sayIfUnstaged(experiment, args["stage-to-local"]);
  if (args.server !== undefined) {
    const { submitAndFollow } = await import("./submit-to-server.ts");
    await submitAndFollow(experiment, args);
    return;
  }
  const runDir = args["run-dir"] ?? defaultRunDir(experiment.name, args.fresh === true);
  if (args["dry-run"] === true) return printDryRun(experiment, runDir, args);
  const inJob = args["ray-address"] === "slurm";
  const { stage } = experiment.data ?? {};
  const slurm = {
    ...slurmConnection(args),
    // The end of a job may leave no time for more than the end of its nodes.
    ...(stage === undefined ? {} : { lastly: clearCommand(stage.dir) }),
  };
  if (inJob) {
    const elsewhere = await startOnFirstNode();
    if (elsewhere !== null) {
      process.exitCode = elsewhere;
      return;
    }
  }
  const signals = listenForStop((signal) => {
    const why = signal === "SIGUSR1" ? "the time limit is near, stopping" : "stopping";
    say(`${why}: running trials end after their step; press Ctrl-C again to kill them`);
  });
  const once = async ({ again, connected }: Attempt): Promise<boolean> => {
    let cluster: Cluster | undefined;
    let results: RunResults;
    try {
      const run = runExperiment(
        async () => {
          if (inJob) await recordThisJob(runDir);
          cluster = await connect({
            ...(args["ray-address"] === undefined ? {} : { rayAddress: args["ray-address"] }),
            ...(args.gpus === undefined ? {} : { gpus: args.gpus }),
            ...(args.cpus === undefined ? {} : { cpus: args.cpus }),
            slurm,
            notice: say,
            signal: signals.stop,
          });
          connected();
          return cluster;
        },
        experiment,
        {
          runDir,
          extend: args.extend === true && !again,
          retryFailed: args["retry-failed"] === true && !again,
          diskCheck: args["disk-check"],
          signal: signals.stop,
          killSignal: signals.kill,
          // The job before may have died with its node.
          ...(inJob ? { stopGraceSeconds: JOB_GRACE_SECONDS, onFolderWait: say } : {}),
        },
      );
      results = await show(run, args.json, experiment.train.debug);
    } finally {
      await cluster?.close();
    }
    // The GPUs are free before anything is printed, as a terminal may take its time.
    finish(results, args.json);
    return results.state === "finished";
  };
  try {
    if (inJob) await runInJob({ run: once, signals, runDir, maxRequeues: args["max-requeues"] ?? 0 });
    else await once({ again: false, connected: () => {} });
  } finally {
    signals.release();
  }
}
