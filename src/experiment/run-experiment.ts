/** The orchestrator: experiment -> trials -> assignments -> results, with the journal as its memory. */
import path from "node:path";
import type { Cluster } from "../cluster/index.ts";
import type { Experiment } from "../config/index.ts";
import { readInfo } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import {
  createResultsWriter,
  hasEnded,
  openRun,
  type RunFolder,
  type RunResults,
  rankedResults,
  rankedSummaries,
} from "../run-folder/index.ts";
import { createSearcher, earlierTrials, knownTrials, needsStudy } from "../search/index.ts";
import { clearStaged, shardNames, stagingRefusal } from "../staging/index.ts";
import { announce } from "./announce.ts";
import { createBoard } from "./board.ts";
import { checkInputs, orMissing } from "./check-inputs.ts";
import { checkDiskNeed } from "./disk-need.ts";
import { createEventQueue } from "./event-queue.ts";
import { type RunEvent, remark } from "./events.ts";
import { leaveModel } from "./leave-model.ts";
import { createLimits, type Limits } from "./limits.ts";
import { trialLimit } from "./planned.ts";
import { runTrials } from "./run-trials.ts";
import { createTrialSource } from "./trial-source.ts";

export interface RunOptions {
  /** Folder of the run, on a file system that all nodes share; created if need be. */
  runDir: string;
  /** Stops the run: running trials end after their step, with a checkpoint. The same call continues it later. */
  signal?: AbortSignal;
  /** Stops it at once: every trainer is killed. */
  killSignal?: AbortSignal;
  /** Continues a run, also a finished one, with an experiment that asks for more: epochs, values of the space, trials. */
  extend?: boolean;
  /** Runs the failed trials of a run again. */
  retryFailed?: boolean;
  /** Refuse a run whose checkpoints will not find room on the disk; default true. */
  diskCheck?: boolean;
  /** Seconds that trials have to end after `signal`, or after one of their replicas failed, before they are killed; default 10. */
  stopGraceSeconds?: number;
  /** Waits for the first trial's place without an end, where other runs are known to share the cluster. */
  waitForPlace?: boolean;
  /**
   * Told that the folder is waited for: with it a process on another host that may have died is given a minute for a sign of life,
   * instead of being taken for living at once.
   */
  onFolderWait?: (text: string) => void;
}

/** A run that goes on. Iterate it (once) for its events; a consumer that is slow slows the run down. */
export interface Run extends AsyncIterable<RunEvent> {
  /** Absolute. */
  readonly runDir: string;
  /** Resolves at its end, also when it was stopped. Rejects if it can't go on; the iteration throws the same error. */
  readonly results: Promise<RunResults>;
}

/**
 * Runs the trials of an experiment, or continues what lies in the run folder: trials that have ended are not run again,
 * a finished run is only shown (and its model folder made, should it be missing), and `cluster`, if it is a function, is not called for it.
 *
 * Errors: RUN_REFUSED (folder in use or of another experiment), FILE_UNUSABLE, PLACEMENT_REFUSED (with what is missing),
 * CLUSTER_UNAVAILABLE, TRAINER_FAILED (no trainer could be started). Failing trials are results, not errors.
 */
export function runExperiment(
  cluster: Cluster | (() => Promise<Cluster>),
  experiment: Experiment,
  options: RunOptions,
): Run {
  const runDir = path.resolve(options.runDir);
  const queue = createEventQueue<RunEvent>();
  const connect = typeof cluster === "function" ? cluster : async () => cluster;
  const results = execute(connect, experiment, { ...options, runDir }, queue.push);
  results.then(
    () => queue.end(),
    (error: unknown) => queue.end(error),
  );
  return { runDir, results, [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator]() };
}

type StoppableOptions = RunOptions & { signal: AbortSignal; killSignal: AbortSignal };

type Emit = (event: RunEvent) => Promise<void>;

async function execute(
  connect: () => Promise<Cluster>,
  experiment: Experiment,
  options: RunOptions,
  emit: Emit,
): Promise<RunResults> {
  const { runDir, onFolderWait: onWait, signal = new AbortController().signal } = options;
  const begin = Date.now();
  const patience = onWait === undefined ? {} : { patience: { onWait, signal } };
  const folder = await orMissing(experiment, () => openRun(runDir, experiment, { ...options, ...patience }));
  try {
    await announce(folder, experiment, emit);
    if (!folder.state.finished) await work(folder, connect, experiment, options, emit);
    const ranked = rankedResults(folder.state, experiment, folder.dir);
    const { model, problem } = await leaveModel(ranked, experiment);
    if (problem !== null) await emit(remark(problem));
    const results = { ...ranked, model };
    await emit({
      type: "run_ended",
      time: new Date().toISOString(),
      state: results.state,
      limit: results.limit,
      best: results.best?.trial ?? null,
      completed: results.trials.filter((trial) => trial.state === "completed").length,
      failed: results.trials.filter((trial) => trial.state === "failed").length,
      pruned: results.trials.filter((trial) => trial.state === "pruned").length,
      seconds: (Date.now() - begin) / 1000,
    });
    return results;
  } finally {
    await folder.close();
  }
}

async function work(
  folder: RunFolder,
  connect: () => Promise<Cluster>,
  experiment: Experiment,
  options: RunOptions,
  emit: Emit,
): Promise<void> {
  await checkInputs(experiment);
  const diskNeed = await checkDiskNeed(folder, experiment, options.diskCheck ?? true);
  if (diskNeed !== null) await emit(remark(diskNeed));
  const unstaged = await unstagedData(experiment);
  if (unstaged !== null) await emit(remark(unstaged));
  const never = new AbortController().signal;
  const stop = AbortSignal.any([options.signal ?? never, folder.lockLost]);
  const kill = AbortSignal.any([options.killSignal ?? never, folder.lockLost]);
  const limits = createLimits(folder.state, experiment, (text) => void emit(remark(text)));
  const writer = createResultsWriter(folder.dir, experiment.search.metric, () =>
    rankedSummaries(folder.state, experiment, folder.dir),
  );
  const board = createBoard(folder, experiment, (text) => void emit(remark(text)));
  const show: Emit = (event) => {
    board.event(event);
    return emit(event);
  };
  try {
    await searchAll(
      folder,
      connect,
      experiment,
      { ...options, signal: stop, killSignal: kill },
      limits,
      show,
      writer.changed,
    );
    folder.lockLost.throwIfAborted();
    const all = [...folder.state.trials.values()];
    const finished =
      (limits.signal.aborted || (all.length > 0 && all.every(hasEnded))) && !stop.aborted && !kill.aborted;
    // First: a finished run is not opened for writing again, so its results must be there.
    writer.changed();
    await writer.close();
    folder.record({
      type: "run_ended",
      state: finished ? "finished" : "interrupted",
      limit: finished ? (limits.reached() ?? trialLimit(folder.state, experiment)) : null,
    });
    await folder.commit();
  } catch (error) {
    // What went wrong first is what is told.
    await writer.close().catch(() => {});
    throw withWayOn(error);
  } finally {
    limits.close();
    await board.close();
  }
}

/** Why no node will make a copy of the data that was asked for. */
async function unstagedData({ data }: Experiment): Promise<string | null> {
  if (data?.stage === undefined) return null;
  return stagingRefusal(data.dir, shardNames(await readInfo(data.dir)), data.stage.limit_gigabytes * 1e9);
}

/** Adds to the word of a full disk how the run goes on. */
function withWayOn(error: unknown): unknown {
  if (!(error instanceof DistmisError) || error.code !== "DISK_FULL") return error;
  const way =
    "the run has stopped; once there is room (`distmis gc` frees what a run no longer needs), the same command continues it";
  return new DistmisError("DISK_FULL", `${error.message}; ${way}`, { cause: error });
}

async function searchAll(
  folder: RunFolder,
  connect: () => Promise<Cluster>,
  experiment: Experiment,
  options: StoppableOptions,
  limits: Limits,
  emit: Emit,
  changed: () => void,
): Promise<void> {
  const { trials: earlier, remarks } = needsStudy(experiment)
    ? await earlierTrials(experiment)
    : { trials: [], remarks: [] };
  for (const text of remarks) await emit(remark(text));
  let cluster: Promise<Cluster> | undefined;
  const connectOnce = (): Promise<Cluster> => {
    cluster ??= connect();
    return cluster;
  };
  const searcher = createSearcher(experiment, {
    known: knownTrials(folder.state, experiment),
    earlier,
    openStudy: async (open) => (await connectOnce()).openStudy(open),
  });
  const source = createTrialSource(folder, searcher, limits);
  try {
    await runTrials({ folder, searcher, source, connect: connectOnce, experiment, options, limits, emit, changed });
  } finally {
    source.close();
    await searcher.close();
    const { data } = experiment;
    // A cluster that has failed to connect has no copies.
    const used = await cluster?.catch(() => undefined);
    if (data?.stage !== undefined && used !== undefined && !options.killSignal.aborted)
      await clearStaged(used, data.stage.dir);
  }
}
