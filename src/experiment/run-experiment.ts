/** The orchestrator: experiment -> trials -> assignments -> results, with the journal as its memory. */
import { access } from "node:fs/promises";
import path from "node:path";
import type { Cluster } from "../cluster/index.ts";
import { axesOf, type Experiment, gridSize, trialConfig, valuesOf } from "../config/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import {
  createResultsWriter,
  hasEnded,
  openRun,
  type RunFolder,
  type RunResults,
  rankedSummaries,
  runFiles,
  type TrialState,
} from "../run-folder/index.ts";
import { createSearcher, type Searcher } from "../search/index.ts";
import { runAttempt } from "./attempt.ts";
import { createBoard } from "./board.ts";
import { createEventQueue } from "./event-queue.ts";
import type { RunEvent } from "./events.ts";
import { runLanes } from "./lanes.ts";
import { leaveModel } from "./leave-model.ts";
import { planPlacement, replicasAfterLoss, replicasHeld } from "./placement.ts";
import { createTrialSource, knownTrials, outcomeOf } from "./trial-source.ts";

export interface RunOptions {
  /** Folder of the run, on a file system that all nodes share; created if need be. */
  runDir: string;
  /** Stops the run: running trials end after their step, with a checkpoint. The same call continues it later. */
  signal?: AbortSignal;
  /** Stops it at once: every trainer is killed. */
  killSignal?: AbortSignal;
  /** Seconds that trials have to end after `signal`, or after one of their replicas failed, before they are killed; default 10. */
  stopGraceSeconds?: number;
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
  const { runDir } = options;
  const begin = Date.now();
  const folder = await openRun(runDir, experiment);
  try {
    await announce(folder, experiment, emit);
    if (!folder.state.finished) await work(folder, connect, experiment, options, emit);
    const ranked = resultsOf(folder, experiment);
    const { model, problem } = await leaveModel(ranked, experiment);
    if (problem !== null) await emit(remark(problem));
    const results = { ...ranked, model };
    await emit({
      type: "run_ended",
      time: new Date().toISOString(),
      state: results.state,
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

async function announce(folder: RunFolder, experiment: Experiment, emit: Emit): Promise<void> {
  const { metric, mode } = experiment.search;
  const time = new Date().toISOString();
  await emit({
    type: "run_started",
    time,
    name: experiment.name,
    runDir: folder.dir,
    trials: gridSize(axesOf(experiment)),
    endedBefore: [...folder.state.trials.values()].filter(hasEnded).length,
    continued: folder.continued,
    metric,
    mode,
  });
  if (folder.torn !== null) {
    const text = `${runFiles.journal(folder.dir)}: dropped its last record (${folder.torn}), left over from a crash`;
    await emit(remark(text));
  }
}

function resultsOf(folder: RunFolder, experiment: Experiment): Omit<RunResults, "model"> {
  const { metric, mode } = experiment.search;
  const trials = rankedSummaries(folder.state, experiment, folder.dir);
  const [first] = trials;
  return {
    state: folder.state.finished ? "finished" : "interrupted",
    runDir: folder.dir,
    metric,
    mode,
    trials,
    best: first !== undefined && first.best !== null ? first : null,
  };
}

async function work(
  folder: RunFolder,
  connect: () => Promise<Cluster>,
  experiment: Experiment,
  options: RunOptions,
  emit: Emit,
): Promise<void> {
  await checkInputs(experiment);
  const never = new AbortController().signal;
  const stop = AbortSignal.any([options.signal ?? never, folder.lockLost]);
  const kill = AbortSignal.any([options.killSignal ?? never, folder.lockLost]);
  const writer = createResultsWriter(folder.dir, experiment.search.metric, () =>
    rankedSummaries(folder.state, experiment, folder.dir),
  );
  const board = createBoard(folder, experiment, (text) => void emit(remark(text)));
  const show: Emit = (event) => {
    board.event(event);
    return emit(event);
  };
  try {
    await searchAll(folder, connect, experiment, { ...options, signal: stop, killSignal: kill }, show, writer.changed);
    folder.lockLost.throwIfAborted();
    const all = [...folder.state.trials.values()];
    const finished = all.length > 0 && all.every(hasEnded) && !stop.aborted && !kill.aborted;
    folder.record({ type: "run_ended", state: finished ? "finished" : "interrupted" });
    await folder.commit();
    writer.changed();
  } finally {
    await board.close();
    await writer.close();
  }
}

async function searchAll(
  folder: RunFolder,
  connect: () => Promise<Cluster>,
  experiment: Experiment,
  options: StoppableOptions,
  emit: Emit,
  changed: () => void,
): Promise<void> {
  const searcher = createSearcher(experiment, knownTrials(folder, experiment));
  try {
    await runTrials(folder, searcher, connect, experiment, options, emit, changed);
  } finally {
    await searcher.close();
  }
}

async function runTrials(
  folder: RunFolder,
  searcher: Searcher,
  connect: () => Promise<Cluster>,
  experiment: Experiment,
  { signal: stop, killSignal: kill, stopGraceSeconds = 10 }: StoppableOptions,
  emit: Emit,
  changed: () => void,
): Promise<void> {
  const source = createTrialSource(folder, searcher);
  if (source.remaining() === 0 || stop.aborted) return;

  const cluster = await connect().catch((error: unknown) => {
    // An interrupted start is an interrupted run.
    if (stop.aborted) return null;
    throw error;
  });
  if (cluster === null) return;
  const { resources } = experiment;
  const placement = await planPlacement(cluster, resources, replicasOfTrials(experiment));
  const { cpus = 0, gpus = 0 } = placement.request(1).perReplica ?? {};
  const toRun = source.remaining();
  const sizes = placement.sizes.map(({ replicas, concurrency }) => ({
    replicas,
    concurrency: Math.min(concurrency, toRun),
  }));
  await emit({
    type: "run_placed",
    time: new Date().toISOString(),
    trials: Number.isFinite(toRun) ? toRun : null,
    concurrency: Math.max(...sizes.map((size) => size.concurrency)),
    sizes,
    cpus,
    gpus,
  });

  const report = (trial: TrialState, epoch: number, value: number) => searcher.report(trial.id, epoch, value);
  const portsTaken = new Map<string, number>();
  await runLanes<TrialState>(
    cluster,
    {
      take: source.take,
      async replicas(trial) {
        const wanted = trialConfig(experiment, trial.parameters).resources.replicas;
        const choose = trial.failures > 0 ? replicasAfterLoss : replicasHeld;
        return choose(cluster, placement.request, resources, wanted);
      },
      async run(session, workers, trial, stopping) {
        const context = { folder, experiment, emit, stopping, portsTaken, report };
        const verdict = await runAttempt(context, session, workers, trial);
        if (verdict === "ended") {
          const outcome = outcomeOf(trial, experiment);
          if (outcome !== null) await searcher.tell(trial.id, outcome);
          changed();
        }
        return verdict;
      },
      putBack: source.putBack,
      warn: (text) => emit(remark(text)),
    },
    {
      name: experiment.name,
      placement,
      placementDeadline: resources.placement_deadline,
      maxStartFailures: experiment.failure.max_failures,
      stop,
      kill,
      stopGraceSeconds,
    },
  );
}

/** The numbers of replicas that trials of the experiment have. */
function replicasOfTrials(experiment: Experiment): number[] {
  const own = experiment.resources.replicas;
  const axis = axesOf(experiment).find(({ path }) => path === "resources.replicas");
  if (axis === undefined) return [own];
  const searched = [...valuesOf(axis)].map(Number);
  return axis.when.length === 0 ? searched : [...new Set([...searched, own])];
}

/** A word of distmis itself on the run. */
function remark(text: string): RunEvent {
  return { type: "log", time: new Date().toISOString(), trial: null, stream: "distmis", rank: null, text };
}

/** What every trial would fail for, found before the first one starts. */
async function checkInputs({ data, trainer }: Experiment): Promise<void> {
  const check = async (field: string, file: string, hint: string): Promise<void> => {
    try {
      await access(file);
    } catch (error) {
      throw new DistmisError("FILE_UNUSABLE", `${field}: ${file} can't be read: ${messageOf(error)}; ${hint}`, {
        cause: error,
      });
    }
  };
  if (trainer.module !== undefined)
    await check("trainer.module", trainer.module, "expected a module that exports a task");
  else if (data !== undefined) {
    await check("data.dir", path.join(data.dir, "info.json"), "make the TFRecords with `distmis tfrecord`");
  }
}
