/** The results of a run: one row a trial, ranked; and the files that hold them. */
import { stringify } from "csv-stringify/sync";
import type { Experiment, Parameters } from "../config/index.ts";
import { replaceFile } from "../files/index.ts";
import { runFiles } from "./layout.ts";
import { bestEpoch, type RunState, type TrialState } from "./state.ts";

/** What a trial came to. */
export interface TrialSummary {
  trial: string;
  state: TrialState["state"];
  parameters: Parameters;
  /** Epochs that were reported, and how many there were to be. */
  epoch: number;
  epochs: number;
  /** The best value of the search's metric and where it was reached; the checkpoint is relative to `dir`, or empty. */
  best: { value: number; epoch: number; checkpoint: string } | null;
  /** The last report's metrics, and what the task handed back at its end. */
  metrics: Record<string, number>;
  /** Wall time over all attempts. */
  seconds: number;
  nodes: readonly string[];
  gpus: readonly string[];
  attempts: number;
  error: string | null;
  /** Folder of the trial, absolute. */
  dir: string;
}

export interface RunResults {
  state: "finished" | "interrupted";
  /** Which limit of the search has ended it, in words; null if none. */
  limit: string | null;
  runDir: string;
  /** What ranks the trials. */
  metric: string;
  mode: "max" | "min";
  /** Best first: by the best value of the metric, ties by id; trials without a value come last. */
  trials: TrialSummary[];
  /** The first of `trials` if it has a value. */
  best: TrialSummary | null;
  /** Folder of the best trial's model, absolute; null before the end, and for a trainer of the user's own. */
  model: string | null;
}

/** The trials of a run as a table, best first. */
export function rankedSummaries(state: RunState, experiment: Experiment, runDir: string): TrialSummary[] {
  const { mode } = experiment.search;
  const summaries = [...state.trials.values()].map((trial): TrialSummary => {
    const { id, parameters, epoch, epochs, seconds, nodes, gpus, attempts, error } = trial;
    return {
      trial: id,
      state: trial.state,
      parameters,
      epoch,
      epochs,
      best: bestEpoch(trial, mode),
      metrics: { ...trial.lastMetrics, ...trial.finalMetrics },
      seconds,
      nodes,
      gpus,
      attempts,
      error,
      dir: runFiles.trial(runDir, id),
    };
  });
  return summaries.toSorted((a, b) => compare(a, b, mode));
}

/** The best of ranked trials; null if none has a value. */
export function bestOf([first]: readonly TrialSummary[]): TrialSummary | null {
  return first === undefined || first.best === null ? null : first;
}

/** What a run has come to, but for its model. */
export function rankedResults(state: RunState, experiment: Experiment, runDir: string): Omit<RunResults, "model"> {
  const { metric, mode } = experiment.search;
  const trials = rankedSummaries(state, experiment, runDir);
  return {
    state: state.finished ? "finished" : "interrupted",
    limit: state.limit,
    runDir,
    metric,
    mode,
    trials,
    best: bestOf(trials),
  };
}

function compare(a: TrialSummary, b: TrialSummary, mode: "max" | "min"): number {
  const byId = a.trial.length - b.trial.length || (a.trial < b.trial ? -1 : 1);
  if (a.best === null || b.best === null) return Number(a.best === null) - Number(b.best === null) || byId;
  const difference = a.best.value - b.best.value;
  return (mode === "max" ? -difference : difference) || byId;
}

/** results.csv: a column for each parameter and metric, empty where a trial has none. */
export function toCsv(trials: readonly TrialSummary[], metric: string): string {
  return runsToCsv([{ run: null, trials, metric }]);
}

/** The trials of several runs as one such table, with a first column for the run where it has a name. */
export function runsToCsv(
  runs: readonly { run: string | null; trials: readonly TrialSummary[]; metric: string }[],
): string {
  const trials = runs.flatMap((run) => run.trials);
  const parameters = union(trials.map((trial) => trial.parameters));
  const metrics = union(trials.map((trial) => trial.metrics));
  const ranking = [...new Set(runs.map(({ metric }) => metric))];
  const named = runs.some(({ run }) => run !== null);
  const header = [...(named ? ["run"] : []), "trial", "state", ...parameters, "epochs"];
  header.push(...ranking.map((metric) => `best_${metric}`), "best_epoch", ...metrics.map((name) => `last_${name}`));
  header.push("seconds", "node", "gpus", "attempts", "error");
  const rows = runs.flatMap(({ run, metric, trials }) =>
    trials.map((trial) => [
      ...(named ? [run ?? ""] : []),
      trial.trial,
      trial.state,
      ...parameters.map((name) => cell(trial.parameters[name])),
      cell(trial.epoch),
      ...ranking.map((name) => (name === metric ? cell(trial.best?.value) : "")),
      cell(trial.best?.epoch),
      ...metrics.map((name) => cell(trial.metrics[name])),
      trial.seconds.toFixed(3),
      trial.nodes.join(" "),
      trial.gpus.join(" "),
      cell(trial.attempts),
      trial.error ?? "",
    ]),
  );
  return stringify([header, ...rows]);
}

function cell(value: string | number | boolean | undefined): string {
  return value === undefined ? "" : String(value);
}

function union(objects: readonly Record<string, unknown>[]): string[] {
  return [...new Set(objects.flatMap((object) => Object.keys(object)))];
}

/** results.jsonl: one trial a line; what is not a number is null. */
export function toJsonLines(trials: readonly TrialSummary[]): string {
  return trials.map((trial) => `${JSON.stringify(trial)}\n`).join("");
}

export interface ResultsWriter {
  /** The results have changed: they are written soon. */
  changed(): void;
  /** Writes what has changed and ends. Throws what went wrong with the last write. */
  close(): Promise<void>;
}

const LEAST_INTERVAL_MILLISECONDS = 1_000;
/** All of it is written anew each time. At ten thousand trials that takes a third of a second, in which nothing else is done. */
const MOST_SHARE_OF_TIME = 0.01;

/** Keeps results.csv and results.jsonl up to date, each replaced as a whole. */
export function createResultsWriter(runDir: string, metric: string, summaries: () => TrialSummary[]): ResultsWriter {
  let timer: NodeJS.Timeout | null = null;
  let dirty = false;
  let writing: Promise<void> = Promise.resolve();
  let failure: unknown = null;
  let interval = LEAST_INTERVAL_MILLISECONDS;

  const write = async (): Promise<void> => {
    if (!dirty) return;
    dirty = false;
    const begin = performance.now();
    const trials = summaries();
    try {
      await replaceFile(runFiles.resultsCsv(runDir), toCsv(trials, metric));
      await replaceFile(runFiles.resultsJsonl(runDir), toJsonLines(trials));
      failure = null;
    } catch (error) {
      failure = error;
    }
    interval = Math.max(LEAST_INTERVAL_MILLISECONDS, (performance.now() - begin) / MOST_SHARE_OF_TIME);
  };
  return {
    changed() {
      dirty = true;
      timer ??= setTimeout(() => {
        timer = null;
        writing = writing.then(write);
      }, interval);
    },
    async close() {
      if (timer !== null) clearTimeout(timer);
      await writing.then(write);
      if (failure !== null) throw failure;
    },
  };
}
