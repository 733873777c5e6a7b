/** How long an epoch of an experiment takes, by what its trials, or those of runs that it starts from, have taken. */
import { access } from "node:fs/promises";
import type { Experiment } from "../config/index.ts";
import { type JournalRecord, type RunReading, readRun, runFiles } from "../run-folder/index.ts";

/** What trials with so many replicas have taken: medians over what was measured. */
export interface Pace {
  replicas: number;
  /** From report to report, so with validation and checkpoints. */
  secondsPerEpoch: number;
  /** Start and end of an attempt, its epochs apart. */
  secondsBeside: number;
  /** How many trials were measured. */
  trials: number;
  /** The most epochs that one of them was to have. */
  epochs: number;
  /** Folder of their run, absolute. */
  run: string;
}

export interface Measured {
  /** Of the run folder; null if there is no run yet. */
  reading: RunReading | null;
  /** For each number of replicas that trials have had, in the first of the runs that had such. */
  paces: Pace[];
}

/** Looks at the run folder, then at the runs of the warm start with the same data and task. */
export async function measure(runDir: string, experiment: Experiment): Promise<Measured> {
  const paces = new Map<number, Pace>();
  const look = async (dir: string): Promise<RunReading> => {
    const watch = createStopwatch();
    const reading = await readRun(dir, watch.record);
    for (const pace of watch.paces(reading.dir)) {
      if (doesTheSame(reading.experiment, experiment) && !paces.has(pace.replicas)) paces.set(pace.replicas, pace);
    }
    return reading;
  };
  const reading = (await isRun(runDir)) ? await look(runDir) : null;
  for (const run of experiment.search.warm_start.runs) await look(run);
  return { reading, paces: [...paces.values()].toSorted((a, b) => a.replicas - b.replicas) };
}

async function isRun(dir: string): Promise<boolean> {
  return access(runFiles.journal(dir)).then(
    () => true,
    () => false,
  );
}

/** Whether the time of an epoch says something. */
function doesTheSame(a: Experiment, b: Experiment): boolean {
  return a.data?.dir === b.data?.dir && a.trainer.module === b.trainer.module;
}

interface Attempt {
  replicas: number;
  start: number;
  /** Times of its reports. */
  reports: number[];
  /** 0 while it goes on. */
  end: number;
  epochs: number;
}

/** Measures the attempts of a journal. */
function createStopwatch() {
  const attempts = new Map<string, Attempt[]>();
  return {
    record(record: JournalRecord): void {
      const time = Date.parse(record.time) / 1000;
      if (record.type === "attempt_started") {
        const attempt = { replicas: record.replicas, start: time, reports: [], end: 0, epochs: 0 };
        attempts.set(record.trial, [...(attempts.get(record.trial) ?? []), attempt]);
      } else if (record.type === "epoch" || record.type === "attempt_ended" || record.type === "trial_ended") {
        const attempt = attempts.get(record.trial)?.at(-1);
        if (attempt === undefined) return;
        if (record.type === "epoch") {
          attempt.reports.push(time);
          attempt.epochs = record.epochs;
        } else attempt.end = time;
      }
    },
    paces(run: string): Pace[] {
      const reported = [...attempts.values()].flat().filter(({ reports }) => reports.length > 0);
      return [...new Set(reported.map(({ replicas }) => replicas))].map((replicas) => {
        const alike = reported.filter((attempt) => attempt.replicas === replicas);
        const measured = new Set(alike);
        const secondsPerEpoch = epochSeconds(alike);
        const beside = alike
          .filter(({ end }) => end > 0)
          .map(({ start, end, reports }) => Math.max(0, end - start - reports.length * secondsPerEpoch));
        return {
          replicas,
          secondsPerEpoch,
          secondsBeside: median(beside),
          trials: [...attempts.values()].filter((all) => all.some((attempt) => measured.has(attempt))).length,
          epochs: alike.reduce((most, { epochs }) => Math.max(most, epochs), 0),
          run,
        };
      });
    },
  };
}

/** The first report of an attempt comes after its start, too: it counts only where there is no second one. */
function epochSeconds(attempts: readonly Attempt[]): number {
  const between = attempts.flatMap(({ reports }) =>
    reports.slice(1).map((time, index) => time - (reports[index] ?? time)),
  );
  return median(between.length > 0 ? between : attempts.map(({ start, reports }) => (reports[0] ?? start) - start));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
