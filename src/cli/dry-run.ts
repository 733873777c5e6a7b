/** What `--dry-run` does in place of a run. */
import { dryRun, dryRunText, type Experiment } from "../index.ts";
import type { RunArguments } from "./run-options.ts";

/** Prints what a run in `runDir` would do; nothing is started or written. */
export async function printDryRun(experiment: Experiment, runDir: string, args: RunArguments): Promise<void> {
  const { gpus, cpus, json } = args;
  const plan = await dryRun(experiment, {
    runDir,
    extend: args.extend === true,
    retryFailed: args["retry-failed"] === true,
    ...(gpus === undefined ? {} : { gpus }),
    ...(cpus === undefined ? {} : { cpus }),
  });
  console.log(json ? JSON.stringify(plan) : dryRunText(plan));
}
