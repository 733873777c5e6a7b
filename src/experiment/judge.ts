/** What becomes of a trial whose attempt is over: judged, told to the journal and the events. */
import type { Experiment, FailureConfig } from "../config/index.ts";
import { DistmisError, type ErrorCode } from "../errors/index.ts";
import { GangEndCause, type GangEnded, type Worker } from "../generated/distmis/v1/cluster.ts";
import type { TrialEnded } from "../generated/distmis/v1/trainer.ts";
import { bestEpoch, type RunFolder, runFiles, type TrialState } from "../run-folder/index.ts";
import { type RunEvent, type RunPlaced, trialFacts } from "./events.ts";
import { oneLine, outcomeName } from "./gang-session.ts";
import type { NodeFaults } from "./node-faults.ts";

/** What becomes of the trial; `lost`: it is to be tried again after a while, `retry`: at once. */
export type Verdict = "ended" | "lost" | "retry" | "interrupted" | "cluster_lost";

export interface AttemptContext {
  folder: RunFolder;
  experiment: Experiment;
  emit(event: RunEvent): Promise<void>;
  /** Tells the searcher a value of `search.metric`; whether the trial goes on. */
  report(trial: TrialState, epoch: number, value: number): Promise<"continue" | "prune">;
  /** The room that was announced since the last attempt; null if none was. */
  takePlaced(): RunPlaced | null;
  /** Whether the run is being stopped: then a lost gang is no failure. */
  stopping(): boolean;
  /** By what, while it is. */
  stoppedBy(): { cause: "interrupted" | "limit"; error: string };
  /** Something that the run is to wait for before it ends. */
  later(work: Promise<void>): void;
  /** How often in this run a port of each trial was taken. */
  portsTaken: Map<string, number>;
  faults: NodeFaults;
  /** By trial: the node that has lost it last. */
  lostOn: Map<string, string>;
}

/** Faults of the machine, not of the trial: worth another try elsewhere. */
const RETRIED = new Set([
  GangEndCause.GANG_END_CAUSE_ACTOR_LOST,
  GangEndCause.GANG_END_CAUSE_NODE_LOST,
  GangEndCause.GANG_END_CAUSE_TRAINER_EXITED,
]);

/**
 * What a trainer itself says that is no fault of the trial: its own failure or that of its connection to the other replicas,
 * a node that does not see the data or the run folder, or on which distmis is not set up.
 */
const RETRIED_CODES = new Set<string>(["TRAINER_FAILED", "FILE_UNUSABLE", "SETUP_INCOMPLETE"] satisfies ErrorCode[]);

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
  { rank, workers, pruned }: { rank: number; workers: readonly Worker[]; pruned: boolean },
): Promise<Verdict> {
  const outcome = outcomeName(ended.outcome);
  if (outcome === "completed" || (outcome === "stopped" && pruned))
    context.faults.worked(workers.map(({ nodeId }) => nodeId));
  if (outcome === "completed") return conclude(context, trial, attempt, "completed", ended.metrics, null);
  if (outcome === "stopped" && pruned) return conclude(context, trial, attempt, "pruned", ended.metrics, null);
  if (outcome === "stopped" && context.stopping()) return interrupt(context, trial, attempt, context.stoppedBy());
  const reason = outcome === "stopped" ? "it stopped without being asked to" : failureText(ended);
  if (RETRIED_CODES.has(ended.errorCode)) {
    // Of several replicas, the one that complains of a connection is seldom the one that broke it.
    const nodeId = workers.length === 1 || ended.errorCode !== "TRAINER_FAILED" ? workers[rank]?.nodeId : undefined;
    return retryOrFail(context, trial, attempt, { cause: "lost", reason, rank, nodeId });
  }
  const error = withLog(context, trial, reason, rank);
  if (ended.errorCode === "PORT_TAKEN") return portTaken(context, trial, attempt, error);
  if (ended.errorCode === "DISK_FULL") {
    // Nobody's fault, and the others would fail for it too; a journal on the same disk may not take this either.
    await interrupt(context, trial, attempt, { cause: "interrupted", error }).catch(() => {});
    throw new DistmisError("DISK_FULL", `trial ${trial.id}: ${error}`);
  }
  return conclude(context, trial, attempt, "failed", ended.metrics, error);
}

function failureText({ errorCode, errorMessage }: TrialEnded): string {
  const text = oneLine(errorMessage === "" ? errorCode || "the task failed without a word" : errorMessage);
  // TensorFlow's words for a GPU that is full.
  const full = /\bOOM when allocating\b|RESOURCE_EXHAUSTED/.test(text);
  return full ? `${text}; use a smaller batch or patch, train.memory: low, or fewer replicas on a GPU` : text;
}

/** Judges an attempt whose gang is gone, or was given up as nothing came from it. */
export async function judgeLost(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  ended: GangEnded,
  { cause, pruned }: { cause: "lost" | "stalled"; pruned: boolean },
): Promise<Verdict> {
  if (context.stopping()) return interrupt(context, trial, attempt, context.stoppedBy());
  if (ended.cause === GangEndCause.GANG_END_CAUSE_SHUTDOWN) {
    await interrupt(context, trial, attempt, { cause: "interrupted", error: ended.message });
    return "cluster_lost";
  }
  // It was to end anyway.
  if (pruned) return conclude(context, trial, attempt, "pruned", {}, null);
  const { message: reason, rank = 0, nodeId } = ended;
  return RETRIED.has(ended.cause)
    ? retryOrFail(context, trial, attempt, { cause, reason, rank, nodeId })
    : conclude(context, trial, attempt, "failed", {}, withLog(context, trial, reason, rank));
}

interface Loss {
  cause: "lost" | "stalled";
  reason: string;
  rank: number;
  /** Where it happened, if that is known. */
  nodeId: string | undefined;
}

/** A machine's fault, until it has happened too often for that. */
async function retryOrFail(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  { cause, reason, rank, nodeId }: Loss,
): Promise<Verdict> {
  const { faults, lostOn } = context;
  const { max_failures: maxFailures } = context.experiment.failure;
  const losses = trial.failures + 1;
  if (losses > maxFailures) {
    faults.forgive(trial.id);
    const text = `${reason}; lost for the ${ordinal(losses)} time, it is held to be at fault (failure.max_failures: ${maxFailures})`;
    return conclude(context, trial, attempt, "failed", {}, withLog(context, trial, text, rank));
  }
  const error = withLog(context, trial, reason, rank);
  if (nodeId !== undefined) {
    faults.lost(nodeId, trial.id, error);
    lostOn.set(trial.id, nodeId);
  }
  return retry(context, trial, attempt, cause, error);
}

function ordinal(count: number): string {
  const tens = count % 100;
  const suffix = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th");
  return `${count}${suffix}`;
}

/** Seconds before a trial, or a start, that was lost so many times is tried again: doubled each time, up to a bound. */
export function retryDelay({ retry_delay, max_retry_delay }: FailureConfig, times: number): number {
  return Math.min(max_retry_delay, retry_delay * 2 ** Math.max(0, times - 1));
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
  cause: "lost" | "stalled" | "port_taken",
  error: string,
): Promise<Verdict> {
  const { folder, emit, experiment } = context;
  const maxFailures = experiment.failure.max_failures;
  const { time } = folder.record({ type: "attempt_ended", trial: trial.id, attempt, cause, error });
  await folder.commit();
  const { id, failures } = trial;
  const delaySeconds = cause === "port_taken" ? 0 : retryDelay(experiment.failure, failures);
  await emit({ type: "trial_retried", time, trial: id, attempt, failures, maxFailures, delaySeconds, error });
  return cause === "port_taken" ? "retry" : "lost";
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
  const { id, lastMetrics: metrics, seconds } = trial;
  const facts = { trial: id, best, metrics, seconds, error, ...trialFacts(trial) };
  await emit({ type: "trial_ended", time, state: "interrupted", ...facts });
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
  const best = bestEpoch(trial, mode);
  const metrics = { ...trial.lastMetrics, ...finalMetrics };
  const { id, seconds } = trial;
  const facts = { trial: id, best, metrics, seconds, error, ...trialFacts(trial) };
  const tell = async (): Promise<void> => {
    if (state === "completed" && best === null) {
      const names = Object.keys(trial.lastMetrics).join(", ") || "nothing";
      const text = `trial ${trial.id} can't be ranked: expected reports of ${metric} (search.metric), found ${names}`;
      await say(context, trial.id, text);
    }
    await emit({ type: "trial_ended", time, state, ...facts });
  };
  // Its gang need not wait for the disk: the start of the next trial does, by the same fsync. Were the end lost in a crash, the trial
  // would go on from its last checkpoint and end again.
  context.later(folder.commit().then(tell));
  return "ended";
}
