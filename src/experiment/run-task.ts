/** One task on one gang, outside any search: how the best model is measured on the test split. */
import path from "node:path";
import type { Cluster } from "../cluster/index.ts";
import type { ResourcesConfig, TrialConfig } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { GangEndCause } from "../generated/distmis/v1/cluster.ts";
import { makeFolder } from "../paths/index.ts";
import { logName } from "../run-folder/index.ts";
import { oneLine, openGangSession, outcomeName } from "./gang-session.ts";
import { planPlacement } from "./placement.ts";
import { PATIENT } from "./silence.ts";
import { openTrialLogs } from "./trial-logs.ts";

export interface TaskOptions {
  /** The trial's configuration, for example config.json of its folder. */
  config: TrialConfig;
  /** `evaluate`, or the absolute path of a module that exports a task. */
  task: string;
  /** The task's own input: for `evaluate` which checkpoint and which split. Must survive JSON. */
  taskInput?: unknown;
  /** Folder that the task may read and write; its output is appended to trainer.log there (trainer-RANK.log of the others). */
  trialDir: string;
  /** Default: those of `config` for one replica. */
  resources?: ResourcesConfig;
  /** Kills the gang. */
  signal?: AbortSignal;
}

const CLOSE_GRACE_SECONDS = 5;
const STOP_GRACE_SECONDS = 10;

/**
 * Starts a gang, gives it one task and returns the metrics that the task hands back.
 *
 * @throws DistmisError PLACEMENT_REFUSED, TRIAL_FAILED (the task said so), TRAINER_FAILED (its process was lost),
 * CLUSTER_UNAVAILABLE, INTERRUPTED.
 */
export async function runTask(cluster: Cluster, options: TaskOptions): Promise<Record<string, number>> {
  const { config, task, signal } = options;
  const resources = options.resources ?? { ...config.resources, replicas: 1 };
  const trialDir = path.resolve(options.trialDir);
  const trialId = path.basename(trialDir);
  signal?.throwIfAborted();
  const { request } = await planPlacement(cluster, resources);
  await makeFolder(trialDir);
  const logFile = (rank: number): string => path.join(trialDir, logName(rank));
  const logs = openTrialLogs(logFile);
  const session = openGangSession(cluster, {
    name: `${config.name}-${path.parse(task).name}`,
    request: request(resources.replicas),
    placementDeadlineSeconds: resources.placement_deadline,
    stopGraceSeconds: STOP_GRACE_SECONDS,
    patience: PATIENT,
  });
  const kill = (): void => session.kill();
  signal?.addEventListener("abort", kill, { once: true });
  try {
    const ready = await session.ready;
    if (!ready.ok) throw lostError(ready.ended.cause, ready.ended.message, signal);
    const end = await session.run(
      {
        trialId,
        attempt: 1,
        task,
        configJson: JSON.stringify(config),
        reportedEpoch: 0,
        trialDir,
        taskJson: options.taskInput === undefined ? "" : JSON.stringify(options.taskInput),
      },
      { report: async () => {}, log: (rank, _stream, text) => logs.write(rank, text) },
    );
    if (end.type !== "ended") {
      const { cause, message, rank = 0 } = end.ended;
      throw lostError(cause, `${message}; log: ${logFile(rank)}`, signal);
    }
    if (outcomeName(end.ended.outcome) !== "completed") {
      throw new DistmisError("TRIAL_FAILED", `${task}: ${oneLine(end.ended.errorMessage)}; log: ${logFile(end.rank)}`);
    }
    return end.ended.metrics;
  } finally {
    signal?.removeEventListener("abort", kill);
    await session.close(CLOSE_GRACE_SECONDS);
    await logs.close();
  }
}

function lostError(cause: GangEndCause, message: string, signal: AbortSignal | undefined): DistmisError {
  if (signal?.aborted === true) return new DistmisError("INTERRUPTED", "stopped by the user");
  if (cause === GangEndCause.GANG_END_CAUSE_REFUSED || cause === GangEndCause.GANG_END_CAUSE_PLACEMENT_DEADLINE) {
    return new DistmisError("PLACEMENT_REFUSED", message);
  }
  return new DistmisError(
    cause === GangEndCause.GANG_END_CAUSE_SHUTDOWN ? "CLUSTER_UNAVAILABLE" : "TRAINER_FAILED",
    message,
  );
}
