/** One attempt at one trial on one gang: told to the journal, the trial's log and the events, and judged. */
import { trialConfigJson } from "../config/index.ts";
import type { Worker } from "../generated/distmis/v1/cluster.ts";
import type { Report } from "../generated/distmis/v1/trainer.ts";
import { runFiles, type TrialState } from "../run-folder/index.ts";
import type { AttemptEnd, GangSession } from "./gang-session.ts";
import { type AttemptContext, judgeEnded, judgeLost, say, type Verdict } from "./judge.ts";
import { createStragglerWatch } from "./straggler.ts";
import { openTrialLogs } from "./trial-logs.ts";

/** Runs `trial` on the gang of `session` to the end of this attempt. */
export async function runAttempt(
  context: AttemptContext,
  session: GangSession,
  workers: readonly Worker[],
  trial: TrialState,
): Promise<Verdict> {
  const { folder, experiment, emit } = context;
  const { id, parameters } = trial;
  const attempt = trial.attempts + 1;
  const nodes = [...new Set(workers.map((worker) => worker.hostName))];
  const gpus = workers.flatMap((worker) => worker.gpuIds);
  const replicas = workers.length;
  const { type: _type, time: _time, ...placed } = context.takePlaced() ?? {};
  const started = folder.record({
    type: "attempt_started",
    trial: id,
    attempt,
    replicas,
    nodes,
    gpus,
    workers: workers.map(({ hostName, gpuIds, device }) => ({ node: hostName, gpus: gpuIds, device })),
    ...("room" in placed ? { placed } : {}),
  });
  // An attempt that the journal does not know must not write checkpoints.
  await folder.commit();
  await emit({ type: "trial_started", time: started.time, trial: id, attempt, parameters, replicas, nodes, gpus });

  const logs = openTrialLogs((rank) => runFiles.trialLog(folder.dir, id, rank));
  const slowReplicas = createStragglerWatch(replicas);
  let pruned = false;
  let end: AttemptEnd;
  try {
    end = await session.run(
      {
        trialId: id,
        attempt,
        task: experiment.trainer.module ?? "train",
        configJson: trialConfigJson(experiment, parameters),
        reportedEpoch: trial.epoch,
        trialDir: runFiles.trial(folder.dir, id),
        // By what the task tells its best epoch.
        taskJson: JSON.stringify({ metric: experiment.search.metric, mode: experiment.search.mode }),
      },
      {
        async report(rank, report) {
          if (rank === 0) {
            const body = epochBody(report, id, attempt);
            const { time } = folder.record({ type: "epoch", ...body });
            await folder.room();
            await emit({ type: "epoch", time, ...body });
            const value = report.metrics[experiment.search.metric];
            // Also what comes after the decision, so that the searcher has heard what the journal tells it later.
            const answer = value === undefined ? "continue" : await context.report(trial, report.epoch, value);
            if (answer === "prune" && !pruned) {
              pruned = true;
              session.stopTrial("pruned");
            }
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
    ? judgeEnded(context, trial, attempt, end.ended, { rank: end.rank, workers, pruned })
    : judgeLost(context, trial, attempt, end.ended, { cause: end.type, pruned });
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
