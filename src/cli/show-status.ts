/** How a run of one's own stands: what its journal says, and what SLURM says of its job. */
import { existsSync } from "node:fs";
import path from "node:path";
import {
  analyseRun,
  bestTrialLine,
  DistmisError,
  jobLine,
  jobState,
  messageOf,
  type RunReading,
  readJobs,
  readRun,
  runFiles,
  runLine,
} from "../index.ts";
import { writeOut } from "./write-out.ts";

/** @param run the folder */
export async function showStatus(run: string, json: boolean): Promise<void> {
  const dir = path.resolve(run);
  const jobs = await readJobs(dir);
  // A job that waits has no journal yet.
  const reading = jobs.length > 0 && !existsSync(runFiles.journal(dir)) ? null : await readRun(dir);
  const job = jobs.at(-1);
  const state = job === undefined ? null : await stateOrWhy(() => jobState(job));
  if (json) {
    const about = reading === null ? null : aboutRun(reading);
    await writeOut(
      `${JSON.stringify({ runDir: dir, run: about, job: job ?? null, jobState: state, jobs: jobs.length })}\n`,
    );
    return;
  }
  const lines = [`run folder: ${dir}`, ...(reading === null ? ["the run has not begun"] : runLines(reading))];
  if (job !== undefined) {
    lines.push(
      typeof state === "string" || state === null
        ? `job ${job.job}: ${state?.split("\n").join("; ")}`
        : jobLine(job, state),
    );
    const others = jobs.length - 1;
    if (others > 0) lines.push(`${others} ${others === 1 ? "job" : "jobs"} before it`);
  }
  await writeOut(`${lines.join("\n")}\n`);
}

/** The run can be told of on a machine without SLURM, too. */
async function stateOrWhy<T>(ask: () => Promise<T>): Promise<T | string> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof DistmisError) return messageOf(error);
    throw error;
  }
}

function aboutRun(reading: RunReading) {
  const { name, state, limit, counts, metric, best, wallSeconds, gpuSeconds } = analyseRun(reading);
  return { name, state, limit, counts, metric, best, wallSeconds, gpuSeconds, owner: reading.owner };
}

function runLines(reading: RunReading): string[] {
  const analysis = analyseRun(reading);
  const { owner } = reading;
  const best = bestTrialLine(analysis);
  return [
    runLine(analysis),
    ...(owner === null ? [] : [`process ${owner.pid} on host ${owner.host} works on it since ${owner.since}`]),
    ...(best === null ? [] : [best]),
  ];
}
