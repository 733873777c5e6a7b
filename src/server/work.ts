/** One experiment at work: its run, and how it ends. */
import { setTimeout as delay } from "node:timers/promises";
import { type Deferred, deferred } from "../async/index.ts";
import type { Cluster } from "../cluster/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { type RunEvent, type RunOptions, type RunResults, runExperiment } from "../experiment/index.ts";
import type { ClusterHolder } from "./cluster-holder.ts";
import { createFeed, type RunFeed } from "./feed.ts";
import type { ExperimentRecord, Failure } from "./queue-file.ts";

export type Outcome = { results: RunResults } | { failure: Failure };

export interface Work {
  readonly feed: RunFeed;
  readonly outcome: Deferred<Outcome>;
  readonly stop: AbortController;
  readonly kill: AbortController;
  /** By a client, not because the server stops. */
  cancelled: boolean;
}

export interface WorkOptions {
  cluster: ClusterHolder;
  runDir: string;
  backlog: number;
  /** Others may have the whole cluster: a place is waited for without an end. */
  shared: boolean;
  /** The run has its lock and its journal. */
  begun: () => void;
}

/** How often in a row, without a trial's progress in between, the cluster may be lost. */
const MAX_LOSSES = 5;
const FIRST_PAUSE_MS = 2_000;
/** Between two looks for a cluster that can't be reached. */
const LONGEST_PAUSE_MS = 60_000;

export function beginWork(record: ExperimentRecord, options: WorkOptions): Work {
  const work: Work = {
    feed: createFeed(options.backlog),
    outcome: deferred(),
    stop: new AbortController(),
    kill: new AbortController(),
    cancelled: false,
  };
  void run(work, record, options).then(
    (results) => end(work, { results }),
    (error: unknown) => end(work, { failure: failureOf(error) }),
  );
  return work;
}

function end({ feed, outcome }: Work, how: Outcome): void {
  feed.end();
  outcome.resolve(how);
}

/** Runs the experiment, again and again where the cluster goes away: the journal has what was done. */
async function run(work: Work, record: ExperimentRecord, options: WorkOptions): Promise<RunResults> {
  const { stop, kill, feed } = work;
  const { extend, retryFailed, diskCheck, experiment } = record;
  const runOptions: RunOptions = {
    runDir: options.runDir,
    signal: stop.signal,
    killSignal: kill.signal,
    diskCheck,
    waitForPlace: options.shared,
  };
  /** Waits for a cluster that is away, without an end: the experiments that wait behind this one would meet it no more than it does. */
  const connect = async (): Promise<Cluster> => {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        return await options.cluster.get();
      } catch (error) {
        if (!isAway(error) || stop.signal.aborted) throw error;
        feed.push(remark(`${messageOf(error)}; trying again in ${pause / 1000} s, until the run is cancelled`));
        await delay(pause, undefined, { signal: stop.signal }).catch(() => {});
      }
    }
  };
  let losses = 0;
  for (let first = true; ; first = false) {
    const part = runExperiment(connect, experiment, {
      ...runOptions,
      ...(first ? { extend, retryFailed } : {}),
    });
    try {
      for await (const event of part) {
        if (event.type === "run_started") options.begun();
        if (event.type === "epoch" || event.type === "trial_ended") losses = 0;
        feed.push(event);
      }
      return await part.results;
    } catch (error) {
      if (!isAway(error) || stop.signal.aborted || ++losses > MAX_LOSSES) throw error;
      const pause = FIRST_PAUSE_MS * 2 ** (losses - 1);
      feed.push(remark(`${error.message}; trying again in ${pause / 1000} s (${losses} of ${MAX_LOSSES})`));
      await delay(pause, undefined, { signal: stop.signal }).catch(() => {});
    }
  }
}

function isAway(error: unknown): error is DistmisError {
  return error instanceof DistmisError && error.code === "CLUSTER_UNAVAILABLE";
}

function remark(text: string): RunEvent {
  return { type: "log", time: new Date().toISOString(), trial: null, stream: "distmis", rank: null, text };
}

export function failureOf(error: unknown): Failure {
  if (error instanceof DistmisError) return { code: error.code, message: error.message };
  const stack = error instanceof Error ? error.stack : undefined;
  return { code: "", message: `a defect of the server: ${stack ?? messageOf(error)}` };
}
