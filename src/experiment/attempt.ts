/** One attempt at one trial on one gang: told to the journal, the trial's log and the events, and judged. */
import { type Experiment, trialConfig } from "../config/index.ts";
import { GangEndCause, type GangEnded, type Worker } from "../generated/distmis/v1/cluster.ts";
import type { Report, TrialEnded } from "../generated/distmis/v1/trainer.ts";
import type { RunEvent } from "./events.ts";
import { type AttemptEnd, type GangSession, oneLine, outcomeName } from "./gang-session.ts";
import { runFiles } from "./layout.ts";
import type { RunFolder } from "./run-folder.ts";
import { bestEpoch, type TrialState } from "./state.ts";
import { createStragglerWatch } from "./straggler.ts";
import { openTrialLogs, prepareTrial } from "./trial-files.ts";

/** What becomes of the trial. */
export type Verdict = "ended" | "retry" | "interrupted" | "cluster_lost";

export interface AttemptContext {
  folder: RunFolder;
  experiment: Experiment;
  emit(event: RunEvent): Promise<void>;
  /** Whether the run is being stopped: then a lost gang is no failure. */
  stopping(): boolean;
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

/** Runs `trial` on the gang of `session` to the end of this attempt. */
export async function runAttempt(
  context: AttemptContext,
  session: GangSession,
  workers: readonly Worker[],
  trial: TrialState,
): Promise<Verdict> {
  const { folder, experiment, emit } = context;
  const { id, parameters } = trial;
  const config = trialConfig(experiment, parameters);
  const attempt = trial.attempts + 1;
  const nodes = [...new Set(workers.map((worker) => worker.hostName))];
  const gpus = workers.flatMap((worker) => worker.gpuIds);
  await prepareTrial(folder.dir, id, config);
  const replicas = workers.length;
  const started = folder.record({ type: "attempt_started", trial: id, attempt, replicas, nodes, gpus });
  // An attempt that the journal does not know must not write checkpoints.
  await folder.commit();
  await emit({ type: "trial_started", time: started.time, trial: id, attempt, parameters, replicas, nodes, gpus });

  const logs = openTrialLogs((rank) => runFiles.trialLog(folder.dir, id, rank));
  const slowReplicas = createStragglerWatch(replicas);
  let end: AttemptEnd;
  try {
    end = await session.run(
      {
        trialId: id,
        attempt,
        task: config.trainer.module ?? "train",
        configJson: JSON.stringify(config),
        trialDir: runFiles.trial(folder.dir, id),
        // By what the task tells its best epoch.
        taskJson: JSON.stringify({ metric: experiment.search.metric, mode: experiment.search.mode }),
      },
      {
        async report(rank, report) {
          if (rank === 0) {
            const body = epochBody(report, id, attempt);
            const { time } = folder.record({ type: "epoch", ...body });
            await emit({ type: "epoch", time, ...body });
          }
          for (const { rank: slow, times, epoch, epochs } of slowReplicas(rank, report.epoch, report.workSeconds)) {
            const where = workers[slow]?.hostName;
            const text = `trial ${id}: replica ${slow} on ${where} holds the others up: for ${epochs} epochs, up to epoch ${epoch}, its work has taken ${times.toFixed(1)} times as long as theirs`;
            await logs.write(0, `${text}\n`);
            await say(context, id, text);
          }
        },
        async log(rank, stream, text) {
          await logs.write(rank, text);
          await emit({ type: "log", time: new Date().toISOString(), trial: id, stream, rank, text });
        },
      },
    );
  } finally {
    await logs.close();
  }
  return end.type === "ended"
    ? judgeEnded(context, trial, attempt, end.ended, end.rank)
    : judgeLost(context, trial, attempt, end.ended);
}

/** A word of distmis itself on a trial. */
function say({ emit }: AttemptContext, trial: string, text: string): Promise<void> {
  return emit({ type: "log", time: new Date().toISOString(), trial, stream: "distmis", rank: null, text });
}

function epochBody(report: Report, trial: string, attempt: number) {
  const finite = (value: number): number => (Number.isFinite(value) ? value : 0);
  return {
    trial,
    attempt,
    epoch: report.epoch,
    epochs: report.epochs,
    metrics: report.metrics,
    seconds: finite(report.seconds),
    volumesPerSecond: finite(report.volumesPerSecond),
    peakResidentBytes: report.peakResidentBytes,
    checkpoint: report.checkpoint,
  };
}

async function judgeEnded(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  ended: TrialEnded,
  rank: number,
): Promise<Verdict> {
  const outcome = outcomeName(ended.outcome);
  if (outcome === "completed") return conclude(context, trial, attempt, "completed", ended.metrics, null);
  if (outcome === "stopped" && context.stopping()) return interrupt(context, trial, attempt, "stopped by the user");
  const reason = outcome === "stopped" ? "it stopped without being asked to" : failureText(ended);
  const error = withLog(context, trial, reason, rank);
  if (ended.errorCode === "PORT_TAKEN") return portTaken(context, trial, attempt, error);
  // The trainer's fault, or its connection's to the other replicas, and not the trial's.
  if (ended.errorCode === "TRAINER_FAILED") return retryOrFail(context, trial, attempt, error);
  return conclude(context, trial, attempt, "failed", ended.metrics, error);
}

function failureText({ errorCode, errorMessage }: TrialEnded): string {
  return oneLine(errorMessage === "" ? errorCode || "the task failed without a word" : errorMessage);
}

async function judgeLost(
  context: AttemptContext,
  trial: TrialState,
  attempt: number,
  ended: GangEnded,
): Promise<Verdict> {
  if (context.stopping()) return interrupt(context, trial, attempt, "stopped by the user");
  if (ended.cause === GangEndCause.GANG_END_CAUSE_SHUTDOWN) {
    await interrupt(context, trial, attempt, ended.message);
    return "cluster_lost";
  }
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

async function interrupt(context: AttemptContext, trial: TrialState, attempt: number, error: string): Promise<Verdict> {
  const { folder, emit, experiment } = context;
  const { time } = folder.record({ type: "attempt_ended", trial: trial.id, attempt, cause: "interrupted", error });
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
  state: "completed" | "failed",
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
