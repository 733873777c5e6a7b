/**
 * As many gangs at once as there is room and work for. A lane is one gang from its start to its end: it takes trials as
 * long as its trainers stay clean and there are any.
 */
import type { Cluster } from "../cluster/index.ts";
import { DistmisError, type ErrorCode } from "../errors/index.ts";
import { GangEndCause, type GangEnded, type Worker } from "../generated/distmis/v1/cluster.ts";
import type { Verdict } from "./attempt.ts";
import { deferred } from "./deferred.ts";
import { type GangSession, openGangSession } from "./gang-session.ts";
import type { Placement } from "./placement.ts";

export interface LaneWork<T> {
  /** How many items `take` may still give, those that come back included; Infinity if open. */
  remaining(): number;
  take(): Promise<T | null>;
  /** Works on an item. While `stopping`, gangs are ended by us: a lost one is no failure. */
  run(session: GangSession, workers: readonly Worker[], item: T, stopping: () => boolean): Promise<Verdict>;
  /** Puts back an item whose gang was lost. */
  putBack(item: T): void;
  /** Something that the user should know. */
  warn(text: string): Promise<void>;
}

export interface LaneOptions {
  name: string;
  placement: Placement;
  /** Seconds that the first gang may wait for a place. */
  placementDeadline: number;
  /** How often gangs may fail to start in a row before it is given up. */
  maxStartFailures: number;
  /** Ends the running items after their step, and all gangs after the grace. */
  stop: AbortSignal;
  /** Ends all gangs at once. */
  kill: AbortSignal;
  stopGraceSeconds: number;
}

interface Lane {
  readonly name: string;
  readonly session: GangSession;
  phase: "starting" | "busy" | "stopping";
  /** Whether its start is bounded, because no other gang had a place yet. */
  readonly bounded: boolean;
}

/** A warm trainer has nothing left to do when its input closes: it ends at once, or not at all. */
const CLOSE_GRACE_SECONDS = 5;

/** Runs lanes until there is no work left, or `stop`; resolves when every gang has ended. Throws what can't be worked around. */
export async function runLanes<T>(cluster: Cluster, work: LaneWork<T>, options: LaneOptions): Promise<void> {
  const lanes = new Set<Lane>();
  const done = deferred();
  let capacity = options.placement.capacity;
  let started = 0;
  let startFailures = 0;
  let fatal: { error: unknown } | null = null;

  const stopping = (): boolean => options.stop.aborted || options.kill.aborted || fatal !== null;
  const count = (phase: Lane["phase"]): number => [...lanes].filter((lane) => lane.phase === phase).length;

  const fail = (error: unknown): void => {
    fatal ??= { error };
    killAll();
  };
  const killAll = (): void => {
    for (const lane of lanes) lane.session.kill();
  };

  /** Starts what there is room and work for, ends what waits in vain, and notices the end. */
  const pump = (): void => {
    if (!stopping()) {
      while (lanes.size < capacity && count("starting") < work.remaining()) startLane();
      const surplus = [...lanes].filter((lane) => lane.phase === "starting").slice(work.remaining());
      for (const lane of surplus) {
        lane.phase = "stopping";
        lane.session.kill();
      }
    }
    if (lanes.size === 0) done.resolve();
  };

  const startLane = (): void => {
    const name = `${options.name}-${++started}`;
    const bounded = count("busy") === 0 && ![...lanes].some((lane) => lane.bounded && lane.phase === "starting");
    const session = openGangSession(cluster, {
      name,
      request: options.placement.request,
      placementDeadlineSeconds: bounded ? options.placementDeadline : 0,
    });
    const lane: Lane = { name, session, phase: "starting", bounded };
    lanes.add(lane);
    runLane(lane)
      .catch(fail)
      .finally(() => {
        lanes.delete(lane);
        pump();
      });
  };

  const runLane = async (lane: Lane): Promise<void> => {
    const { session } = lane;
    try {
      const ready = await session.ready;
      if (!ready.ok) {
        if (lane.phase === "starting" && !stopping()) await startFailed(lane, ready.ended);
        return;
      }
      startFailures = 0;
      while (session.clean && !stopping() && lane.phase !== "stopping") {
        lane.phase = "busy";
        const item = await work.take();
        if (item === null) break;
        if (stopping()) {
          work.putBack(item);
          break;
        }
        pump();
        const verdict = await work.run(session, ready.workers, item, stopping);
        if (verdict === "retry" || verdict === "interrupted") work.putBack(item);
        if (verdict === "cluster_lost") {
          throw new DistmisError("CLUSTER_UNAVAILABLE", `the cluster went away: ${(await session.ended).message}`);
        }
      }
    } catch (error) {
      session.kill();
      throw error;
    } finally {
      lane.phase = "stopping";
      await session.close(CLOSE_GRACE_SECONDS);
    }
  };

  const startFailed = async (lane: Lane, ended: GangEnded): Promise<void> => {
    const others = [...lanes].some((other) => other !== lane && other.phase === "busy");
    const { cause, message } = ended;
    if (cause === GangEndCause.GANG_END_CAUSE_SHUTDOWN) throw new DistmisError("CLUSTER_UNAVAILABLE", message);
    // Another gang found a place meanwhile; this one may wait without a bound.
    if (cause === GangEndCause.GANG_END_CAUSE_PLACEMENT_DEADLINE && others) return;
    if (!isPlacement(cause) && ++startFailures <= options.maxStartFailures) {
      await work.warn(`a worker could not be started and is tried again: ${message}`);
      return;
    }
    if (!others) throw new DistmisError(startErrorCode(cause), message);
    capacity = Math.max(1, lanes.size - 1);
    await work.warn(`continuing with ${capacity} trials at once: ${message}`);
  };

  let graceTimer: NodeJS.Timeout | undefined;
  const onStop = (): void => {
    for (const lane of lanes) {
      if (lane.phase === "starting") lane.session.kill();
      else lane.session.requestStop("the run is being stopped");
    }
    graceTimer = setTimeout(killAll, options.stopGraceSeconds * 1000);
  };
  options.stop.addEventListener("abort", onStop, { once: true });
  options.kill.addEventListener("abort", killAll, { once: true });
  void cluster.lost.then((reason) => fail(new DistmisError("CLUSTER_UNAVAILABLE", `the cluster went away: ${reason}`)));
  try {
    pump();
    await done.promise;
  } finally {
    clearTimeout(graceTimer);
    options.stop.removeEventListener("abort", onStop);
    options.kill.removeEventListener("abort", killAll);
  }
  if (fatal !== null) throw errorOf(fatal);
}

function errorOf({ error }: { error: unknown }): unknown {
  return error;
}

function isPlacement(cause: GangEndCause): boolean {
  return cause === GangEndCause.GANG_END_CAUSE_REFUSED || cause === GangEndCause.GANG_END_CAUSE_PLACEMENT_DEADLINE;
}

function startErrorCode(cause: GangEndCause): ErrorCode {
  return isPlacement(cause) ? "PLACEMENT_REFUSED" : "TRAINER_FAILED";
}
