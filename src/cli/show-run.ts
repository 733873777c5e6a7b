/** A run on the terminal: its events, its results, its exit code. */
import { bestTrialLine, createReporter, type Run, type RunEvent, type RunResults, resultsTable } from "../index.ts";
import { sayBy } from "./say.ts";
import { stoppedExitCode } from "./signals.ts";
import { terminalStream } from "./terminal-stream.ts";
import { writeOut } from "./write-out.ts";

/** Prints the results, unless events are printed instead, and sets the exit code. @param command continues a run that was stopped */
export function finish(results: RunResults, json: boolean, command = "the same command"): void {
  if (!json) printResults(results, command);
  if (results.state === "interrupted") process.exitCode = stoppedExitCode();
  else if (results.trials.every((trial) => trial.state === "failed")) process.exitCode = 1;
}

/** @param trialOutput shows what the trials print, too */
export async function show(
  run: AsyncIterable<RunEvent> & Pick<Run, "results">,
  json: boolean,
  trialOutput = false,
): Promise<RunResults> {
  if (json) {
    for await (const event of run) {
      // A pipe that is full slows the run down rather than filling memory.
      await writeOut(`${JSON.stringify(event)}\n`);
    }
    return run.results;
  }
  const terminal = process.stderr.isTTY ? terminalStream() : null;
  const reporter = createReporter(terminal ?? process.stderr, { trialOutput });
  sayBy(reporter);
  try {
    for await (const event of run) reporter.event(event);
  } finally {
    sayBy(null);
    reporter.close();
    // What is printed after it takes another way.
    await terminal?.flush();
  }
  return run.results;
}

export function printResults(results: RunResults, command = "the same command"): void {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  if (results.trials.length > 0) console.log(resultsTable(results, { width }));
  const { model, runDir } = results;
  const best = bestTrialLine(results);
  if (best !== null) console.log(best);
  if (model !== null) console.log(`model folder: ${model}`);
  console.log(`run folder: ${runDir}`);
  if (results.limit !== null) console.log(`ended by ${results.limit}; a higher limit with --extend goes on`);
  if (results.state === "interrupted") console.log(`stopped; ${command} continues it`);
}
