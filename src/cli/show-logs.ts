/** What `logs` does. */
import { DistmisError, findTrial, type RunReading, readJobLog, readRun, readTrialLogs, trialLogs } from "../index.ts";
import { writeOut } from "./write-out.ts";

interface LogsArguments {
  run: string;
  trial: string | undefined;
  rank: number | undefined;
  job: boolean;
  follow: boolean;
}

export async function showLogs({ run, trial, rank, job, follow }: LogsArguments): Promise<void> {
  if (job) {
    if (trial !== undefined || rank !== undefined)
      throw new DistmisError("USAGE", "expected --job or a trial, found both: the job's log is of the whole run");
    return untilInterrupted((signal) => showJobLog(run, follow, signal));
  }
  const reading = await readRun(run);
  if (trial === undefined) {
    if (rank !== undefined || follow)
      throw new DistmisError(
        "USAGE",
        "--rank and --follow need a trial: `distmis logs RUN TRIAL`; `distmis logs RUN --job -f` follows its job",
      );
    await list(reading);
    return;
  }
  const { id, state } = findTrial(reading, trial);
  const logs = await trialLogs(reading.dir, id);
  if (rank !== undefined && logs.length > 0 && !logs.some((log) => log.rank === rank)) {
    const ranks = logs.map((log) => log.rank).join(", ");
    throw new DistmisError("USAGE", `--rank ${rank}: trial ${id} has logs of rank ${ranks}`);
  }
  if (logs.length === 0 && !(follow && reading.owner !== null)) {
    throw new DistmisError("FILE_UNUSABLE", `trial ${id} of ${reading.dir} has no log yet: it is ${state}`);
  }
  await untilInterrupted(async (signal) => {
    let shown: string | null = null;
    const options = { follow, signal, ...(rank === undefined ? {} : { rank }) };
    for await (const { file, bytes } of readTrialLogs(reading.dir, id, options)) {
      // As `tail` marks several files.
      if (logs.length > 1 && rank === undefined && file !== shown)
        await writeOut(`${shown === null ? "" : "\n"}==> ${file} <==\n`);
      shown = file;
      await writeOut(bytes);
      if (process.stdout.destroyed) return;
    }
  });
}

async function showJobLog(run: string, follow: boolean, signal: AbortSignal): Promise<void> {
  for await (const bytes of readJobLog(run, { follow, signal })) {
    await writeOut(bytes);
    if (process.stdout.destroyed) return;
  }
}

async function untilInterrupted(action: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  try {
    await action(interrupt.signal);
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

async function list({ dir, state }: RunReading): Promise<void> {
  for (const { id, state: how, epoch, epochs } of state.trials.values()) {
    const logs = await trialLogs(dir, id);
    const where = logs.map(({ file }) => file).join(" ") || "no log yet";
    await writeOut(
      `${id}  ${how.padEnd("completed".length)}  ${`epoch ${epoch}/${epochs || "?"}`.padEnd(14)}  ${where}\n`,
    );
  }
  if (state.trials.size === 0) console.log(`${dir} has no trials yet`);
}
