/** What becomes of a trial whose attempt is over: judged, told to the journal and the events. */
import type { Experiment } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { GangEndCause, type GangEnded } from "../generated/distmis/v1/cluster.ts";
import type { TrialEnded } from "../generated/distmis/v1/trainer.ts";
import { bestEpoch, type RunFolder, runFiles, type TrialState } from "../run-folder/index.ts";
import type { RunEvent } from "./events.ts";
import { oneLine, outcomeName } from "./gang-session.ts";

/** What becomes of the trial. */
export type Verdict = "ended" | "retry" | "interrupted" | "cluster_lost";

export interface AttemptContext {
  folder: RunFolder;
  experiment: Experiment;
  emit(event: RunEvent): Promise<void>;
  /** Tells the searcher a value of `search.metric`; whether the trial goes on. */
  report(trial: TrialState, epoch: number, value: number): Promise<"continue" | "prune">;
  /** Whether the run is being stopped: then a lost gang is no failure. */
  stopping(): boolean;
  /** By what, while it is. */
  stoppedBy(): { cause: "interrupted" | "limit"; error: string };
  /** How often in this run a port of each trial was taken. */
  portsTaken: Map<string, number>;
}

/** Faults of the machine, not of the trial: worth another try elsewhere. */
const RETRIED = new Set([
  GangEndCause.GANG_END_CAUSE_ACTOR_LOST,
  GangEndCause.GANG_END_CAUSE_NODE_LOST,
  GangEndCause.GANG_END_CAUSE_TRAINER_EXITED,
]);

/** Ports are drawn at random: more than this in a row is no accident. */
const MAX_PORTS_TAKEN = 5;

/** A word of distmis itself on a trial. */
export function say({ emit }: AttemptContext, trial: string, text: string): Promise<void> {
  return emit({ type: "log", time: new Date().toISOString(), trial, stream: "distmis", rank: null, text });
}

/** Judges an attempt whose trainers said how it ended. */
export async function judgeEnded(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  ended: TrialEnded,
  rank: number,
  pruned: boolean,
): Promise<Verdict> {
  const outcome = outcomeName(ended.outcome);
  if (outcome === "completed") return conclude(context, trial, attempt, "completed", ended.metrics, null);
  if (outcome === "stopped" && pruned) return conclude(context, trial, attempt, "pruned", ended.metrics, null);
  if (outcome === "stopped" && context.stopping()) return interrupt(context, trial, attempt, context.stoppedBy());
  const reason = outcome === "stopped" ? "it stopped without being asked to" : failureText(ended);
  const error = withLog(context, trial, reason, rank);
  if (ended.errorCode === "PORT_TAKEN") return portTaken(context, trial, attempt, error);
  // The trainer's fault, or its connection's to the other replicas, and not the trial's.
  if (ended.errorCode === "TRAINER_FAILED") return retryOrFail(context, trial, attempt, error);
  if (ended.errorCode === "DISK_FULL") {
    // Nobody's fault, and the others would fail for it too; a journal on the same disk may not take this either.
    await interrupt(context, trial, attempt, { cause: "interrupted", error }).catch(() => {});
    throw new DistmisError("DISK_FULL", `trial ${trial.id}: ${error}`);
  }
  return conclude(context, trial, attempt, "failed", ended.metrics, error);
}

function failureText({ errorCode, errorMessage }: TrialEnded): string {
  return oneLine(errorMessage === "" ? errorCode || "the task failed without a word" : errorMessage);
}

/** Judges an attempt whose gang is gone. */
export async function judgeLost(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  ended: GangEnded,
  pruned: boolean,
): Promise<Verdict> {
  if (context.stopping()) return interrupt(context, trial, attempt, context.stoppedBy());
  if (ended.cause === GangEndCause.GANG_END_CAUSE_SHUTDOWN) {
    await interrupt(context, trial, attempt, { cause: "interrupted", error: ended.message });
    return "cluster_lost";
  }
  // It was to end anyway.
  if (pruned) return conclude(context, trial, attempt, "pruned", {}, null);
  const error = withLog(context, trial, ended.message, ended.rank ?? 0);
  return RETRIED.has(ended.cause)
    ? retryOrFail(context, trial, attempt, error)
    : conclude(context, trial, attempt, "failed", {}, error);
}

async function retryOrFail(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  error: string,
): Promise<Verdict> {
  if (trial.failures >= context.experiment.failure.max_failures) {
    return conclude(context, trial, attempt, "failed", {}, error);
  }
  return retry(context, trial, attempt, "lost", error);
}

/** New replicas choose new ports. */
async function portTaken(context: AttemptContext, trial: TrialState, attempt: number, error: string): Promise<Verdict> {
  const times = (context.portsTaken.get(trial.id) ?? 0) + 1;
  context.portsTaken.set(trial.id, times);
  return times > MAX_PORTS_TAKEN
    ? conclude(context, trial, attempt, "failed", {}, error)
    : retry(context, trial, attempt, "port_taken", error);
}

async function retry(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  cause: "lost" | "port_taken",
  error: string,
): Promise<Verdict> {
  const { folder, emit, experiment } = context;
  const maxFailures = experiment.failure.max_failures;
  const { time } = folder.record({ type: "attempt_ended", trial: trial.id, attempt, cause, error });
  await folder.commit();
  await emit({ type: "trial_retried", time, trial: trial.id, attempt, failures: trial.failures, maxFailures, error });
  return "retry";
}

function withLog({ folder }: AttemptContext, trial: TrialState, reason: string, rank: number): string {
  return `${reason}; log: ${runFiles.trialLog(folder.dir, trial.id, rank)}`;
}

async function interrupt(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  { cause, error }: ReturnType<AttemptContext["stoppedBy"]>,
): Promise<Verdict> {
  const { folder, emit, experiment } = context;
  const { time } = folder.record({ type: "attempt_ended", trial: trial.id, attempt, cause, error });
  await folder.commit();
  const best = bestEpoch(trial, experiment.search.mode);
  const { lastMetrics: metrics, seconds } = trial;
  await emit({ type: "trial_ended", time, trial: trial.id, state: "interrupted", best, metrics, seconds, error });
  return "interrupted";
}

async function conclude(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  state: "completed" | "failed" | "pruned",
  finalMetrics: Record<string, number>,
  error: string | null,
): Promise<Verdict> {
  const { folder, emit, experiment } = context;
  const { metric, mode } = experiment.search;
  const { time } = folder.record({
    type: "trial_ended",
    trial: trial.id,
    attempt,
    state,
    metrics: finalMetrics,
    error,
  });
  await folder.commit();
  const best = bestEpoch(trial, mode);
  const metrics = { ...trial.lastMetrics, ...finalMetrics };
  if (state === "completed" && best === null) {
    const names = Object.keys(trial.lastMetrics).join(", ") || "nothing";
    await say(
      context,
      trial.id,
      `trial ${trial.id} can't be ranked: expected reports of ${metric} (search.metric), found ${names}`,
    );
  }
  const { seconds } = trial;
  await emit({ type: "trial_ended", time, trial: trial.id, state, best, metrics, seconds, error });
  return "ended";
}
