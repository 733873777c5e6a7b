/** One attempt at one trial on one gang: told to the journal, the trial's log and the events, and judged. */
import { type Experiment, trialConfig } from "../config/index.ts";
import { GangEndCause, type GangEnded, type Worker } from "../generated/distmis/v1/cluster.ts";
import type { Report, TrialEnded } from "../generated/distmis/v1/trainer.ts";
import type { RunEvent } from "./events.ts";
import { type AttemptEnd, type GangSession, oneLine, outcomeName } from "./gang-session.ts";
import { runFiles } from "./layout.ts";
import type { RunFolder } from "./run-folder.ts";
import { bestEpoch, type TrialState } from "./state.ts";
import { openTrialLog, prepareTrial } from "./trial-files.ts";

/** What becomes of the trial. */
export type Verdict = "ended" | "retry" | "interrupted" | "cluster_lost";

export interface AttemptContext {
  folder: RunFolder;
  experiment: Experiment;
  emit(event: RunEvent): Promise<void>;
  /** Whether the run is being stopped: then a lost gang is no failure. */
  stopping(): boolean;
}

/** Faults of the machine, not of the trial: worth another try elsewhere. */
const RETRIED = new Set([
  GangEndCause.GANG_END_CAUSE_ACTOR_LOST,
  GangEndCause.GANG_END_CAUSE_NODE_LOST,
  GangEndCause.GANG_END_CAUSE_TRAINER_EXITED,
]);

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
  const started = folder.record({ type: "attempt_started", trial: id, attempt, nodes, gpus });
  // An attempt that the journal does not know must not write checkpoints.
  await folder.commit();
  await emit({ type: "trial_started", time: started.time, trial: id, attempt, parameters, nodes, gpus });

  const log = await openTrialLog(runFiles.trialLog(folder.dir, id));
  let end: AttemptEnd;
  try {
    end = await session.run(
      (rank) => ({
        trialId: id,
        attempt,
        task: config.trainer.module ?? "train",
        configJson: JSON.stringify(config),
        trialDir: runFiles.trial(folder.dir, id),
        rank,
        replicas: workers.length,
        // By what the task tells its best epoch.
        taskJson: JSON.stringify({ metric: experiment.search.metric, mode: experiment.search.mode }),
      }),
      {
        async report(report) {
          const body = epochBody(report, id, attempt);
          const { time } = folder.record({ type: "epoch", ...body });
          await emit({ type: "epoch", time, ...body });
        },
        async log(stream, text) {
          await log.write(text);
          await emit({ type: "log", time: new Date().toISOString(), trial: id, stream, text });
        },
      },
    );
  } finally {
    await log.close();
  }
  return end.type === "ended"
    ? judgeEnded(context, trial, attempt, end.ended)
    : judgeLost(context, trial, attempt, end.ended);
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
): Promise<Verdict> {
  const outcome = outcomeName(ended.outcome);
  if (outcome === "completed") return conclude(context, trial, attempt, "completed", ended.metrics, null);
  if (outcome === "stopped" && context.stopping()) return interrupt(context, trial, attempt, "stopped by the user");
  const reason = outcome === "stopped" ? "it stopped without being asked to" : failureText(ended);
  return conclude(context, trial, attempt, "failed", ended.metrics, withLog(context, trial, reason));
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
  const maxFailures = context.experiment.failure.max_failures;
  const error = withLog(context, trial, ended.message);
  if (!RETRIED.has(ended.cause) || trial.failures >= maxFailures) {
    return conclude(context, trial, attempt, "failed", {}, error);
  }
  const { folder, emit } = context;
  const { time } = folder.record({ type: "attempt_ended", trial: trial.id, attempt, cause: "lost", error });
  await folder.commit();
  await emit({ type: "trial_retried", time, trial: trial.id, attempt, failures: trial.failures, maxFailures, error });
  return "retry";
}

function withLog({ folder }: AttemptContext, trial: TrialState, reason: string): string {
  return `${reason}; log: ${runFiles.trialLog(folder.dir, trial.id)}`;
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
    const text = `trial ${trial.id} can't be ranked: expected reports of ${metric} (search.metric), found ${names}`;
    await emit({ type: "log", time, trial: trial.id, stream: "distmis", text });
  }
  const { seconds } = trial;
  await emit({ type: "trial_ended", time, trial: trial.id, state, best, metrics, seconds, error });
  return "ended";
}
