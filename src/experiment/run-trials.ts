/** The trials of a run on the cluster: what lanes work on, and what they are told of the experiment. */
import type { Cluster } from "../cluster/index.ts";
import type { Experiment } from "../config/index.ts";
import { hasEnded, type RunFolder, type TrialState } from "../run-folder/index.ts";
import { outcomeOf, type Searcher } from "../search/index.ts";
import { runAttempt } from "./attempt.ts";
import { type RunEvent, type RunPlaced, remark } from "./events.ts";
import { retryDelay } from "./judge.ts";
import { runLanes } from "./lanes.ts";
import type { Limits } from "./limits.ts";
import { createNodeFaults } from "./node-faults.ts";
import { type Capacity, planPlacement, replicasAfterLoss, replicasHeld } from "./placement.ts";
import { replicasOfTrials } from "./planned.ts";
import { createRoom } from "./room.ts";
import { runPlaced } from "./run-placed.ts";
import type { TrialSource } from "./trial-source.ts";

export interface RunParts {
  folder: RunFolder;
  searcher: Searcher;
  source: TrialSource;
  connect(): Promise<Cluster>;
  experiment: Experiment;
  /** See RunOptions. */
  options: { signal: AbortSignal; killSignal: AbortSignal; stopGraceSeconds?: number; waitForPlace?: boolean };
  limits: Limits;
  emit(event: RunEvent): Promise<void>;
  /** The results have changed. */
  changed(): void;
}

/** Runs the trials of `source` on the cluster, which is not asked for if there are none. */
export async function runTrials(parts: RunParts): Promise<void> {
  const { folder, searcher, source, connect, experiment, limits, emit, changed } = parts;
  const { signal: stop, killSignal: kill, stopGraceSeconds = 10, waitForPlace = false } = parts.options;
  if (source.remaining() === 0 || limits.signal.aborted || stop.aborted) return;

  const cluster = await connect().catch((error: unknown) => {
    // An interrupted start is an interrupted run.
    if (stop.aborted) return null;
    throw error;
  });
  if (cluster === null) return;
  const { resources } = experiment;
  const placement = await planPlacement(cluster, resources, replicasOfTrials(experiment));
  const { gpus = 0 } = placement.request(1).perReplica ?? {};
  const toRun = (): number =>
    Math.min(searcher.remaining(), limits.room()) +
    [...folder.state.trials.values()].filter((trial) => !hasEnded(trial)).length;
  const faults = createNodeFaults(experiment.failure.node_failures);
  /** What the journal does not know yet. */
  let placedSince: RunPlaced | null = null;
  const takePlaced = (): RunPlaced | null => {
    const placed = placedSince;
    placedSince = null;
    return placed;
  };
  const news = {
    say: (text: string) => emit(remark(text)),
    placed: (capacity: Capacity, change: string) => {
      const event = runPlaced(placement, capacity, change, toRun());
      placedSince = event;
      return emit(event);
    },
  };
  await news.placed(placement.initial, "");

  const report = (trial: TrialState, epoch: number, value: number) => {
    limits.reported(trial, value);
    return searcher.report(trial.id, epoch, value);
  };
  const stoppedBy = () => {
    const limit = limits.reached();
    return stop.aborted || limit === null
      ? { cause: "interrupted" as const, error: "stopped by the user" }
      : { cause: "limit" as const, error: limit };
  };
  let told: Promise<unknown> = Promise.resolve();
  const later = (work: Promise<void>): void => {
    // Without its values, which would hold those of all before.
    told = Promise.all([told, work]).then(() => {});
    // Awaited at the end; a journal that can't be written ends the run before.
    told.catch(() => {});
  };
  const portsTaken = new Map<string, number>();
  const lostOn = new Map<string, string>();
  const { failure } = experiment;
  await runLanes<TrialState>(
    cluster,
    {
      take: source.take,
      async replicas(trial, request) {
        const wanted = Number(trial.parameters["resources.replicas"] ?? resources.replicas);
        const choose = trial.failures > 0 ? replicasAfterLoss : replicasHeld;
        return choose(cluster, request, resources, wanted);
      },
      async run(session, workers, trial, stopping) {
        const judging = { folder, experiment, emit, stopping, stoppedBy, later, portsTaken, report, faults, lostOn };
        const context = { ...judging, takePlaced };
        const release = limits.started(workers.length * gpus);
        const verdict = await runAttempt(context, session, workers, trial).finally(release);
        if (verdict === "ended") {
          limits.ended(trial);
          const outcome = outcomeOf(trial, experiment);
          if (outcome !== null) await searcher.tell(trial.id, outcome);
          changed();
        }
        return verdict;
      },
      avoids: (trial) => lostOn.get(trial.id) ?? null,
      putBack: source.putBack,
      remaining: source.remaining,
      losses: (trial) => trial.failures,
      startFailed(name, { nodeId, message }) {
        if (nodeId !== undefined) faults.lost(nodeId, `start of ${name}`, message);
      },
      warn: news.say,
    },
    {
      name: experiment.name,
      placement,
      room: (changed) => createRoom(cluster, placement, faults, { ...news, changed }),
      placementDeadline: waitForPlace ? 0 : resources.placement_deadline,
      // A node may be to blame: there must be enough of them to leave it out.
      maxStartFailures: Math.max(failure.max_failures, failure.node_failures),
      retryDelay: (times) => retryDelay(failure, times),
      patience: {
        heartbeatSeconds: failure.heartbeat_timeout,
        stallSeconds: failure.stall_timeout,
        stallFactor: failure.stall_factor,
      },
      finish: limits.signal,
      stop,
      kill,
      stopGraceSeconds,
    },
  );
  await told;
}
