/** What `logs` does. */
import { DistmisError, findTrial, type RunReading, readRun, readTrialLogs, trialLogs } from "../index.ts";
import { writeOut } from "./write-out.ts";

interface LogsArguments {
  run: string;
  trial: string | undefined;
  rank: number | undefined;
  follow: boolean;
}

export async function showLogs({ run, trial, rank, follow }: LogsArguments): Promise<void> {
  const reading = await readRun(run);
  if (trial === undefined) {
    if (rank !== undefined || follow)
      throw new DistmisError("USAGE", "--rank and --follow need a trial: `distmis logs RUN TRIAL`");
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
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  try {
    let shown: string | null = null;
    const options = { follow, signal: interrupt.signal, ...(rank === undefined ? {} : { rank }) };
    for await (const { file, bytes } of readTrialLogs(reading.dir, id, options)) {
      // As `tail` marks several files.
      if (logs.length > 1 && rank === undefined && file !== shown)
        await writeOut(`${shown === null ? "" : "\n"}==> ${file} <==\n`);
      shown = file;
      await writeOut(bytes);
      if (process.stdout.destroyed) return;
    }
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
