/**
 * As many gangs at once as there is room and work for. A lane is one gang from its start to its end: it works on trials as
 * long as its trainers stay clean and there are trials for gangs of its size.
 *
 * Trials are given to gangs in their order: one for which there is no room waits, lanes that have nothing to do make room
 * for it, and no later trial starts before it has its gang. So a large trial is never starved by small ones.
 */

import { type Deferred, deferred } from "../async/index.ts";
import type { Cluster } from "../cluster/index.ts";
import { DistmisError, type ErrorCode } from "../errors/index.ts";
import { GangEndCause, type GangEnded, type Worker } from "../generated/distmis/v1/cluster.ts";
import { type GangSession, openGangSession } from "./gang-session.ts";
import type { Verdict } from "./judge.ts";
import type { Placement } from "./placement.ts";

export interface LaneWork<T> {
  /** The next item, those that came back first; null if there is none. May wait. */
  take(): Promise<T | null>;
  /** How many replicas the item is to have; asked again when it comes back. */
  replicas(item: T): Promise<number>;
  /** Works on an item. While `stopping`, gangs are ended by us: a lost one is no failure. */
  run(session: GangSession, workers: readonly Worker[], item: T, stopping: () => boolean): Promise<Verdict>;
  /** Puts back an item that was not begun, or whose gang was lost. */
  putBack(item: T): void;
  /** Something that the user should know. */
  warn(text: string): Promise<void>;
}

export interface LaneOptions {
  name: string;
  placement: Placement;
  /** Seconds that the first gang may wait for a place; 0: without an end. */
  placementDeadline: number;
  /** How often gangs may fail to start in a row before it is given up. */
  maxStartFailures: number;
  /** Ends the running items after their step, however long that takes, and then all gangs. */
  finish: AbortSignal;
  /** The same, and ends all gangs after the grace. */
  stop: AbortSignal;
  /** Ends all gangs at once. */
  kill: AbortSignal;
  stopGraceSeconds: number;
}

interface Lane<T> {
  readonly replicas: number;
  readonly session: GangSession;
  phase: "starting" | "idle" | "busy" | "stopping";
  /** Whether its start is bounded, because no other gang had a place yet. */
  readonly bounded: boolean;
  /** What it is to work on next. Until its gang is ready, another lane of its size may take it over. */
  item: T | null;
  /** Ends the wait of an idle lane. */
  wake: Deferred<void>;
}

/** A warm trainer has nothing left to do when its input closes: it ends at once, or not at all. */
const CLOSE_GRACE_SECONDS = 5;

/** Runs lanes until there is no work left, or `stop`; resolves when every gang has ended. Throws what can't be worked around. */
export async function runLanes<T>(cluster: Cluster, work: LaneWork<T>, options: LaneOptions): Promise<void> {
  const { placement } = options;
  const lanes = new Set<Lane<T>>();
  const done = deferred();
  const smallest = Math.min(...placement.sizes.map(({ replicas }) => replicas));
  let { room, bound } = placement;
  let change = deferred();
  let started = 0;
  let startFailures = 0;
  let fatal: { error: unknown } | null = null;

  const stopping = (): boolean =>
    options.finish.aborted || options.stop.aborted || options.kill.aborted || fatal !== null;
  const used = (): number => [...lanes].reduce((sum, { replicas }) => sum + replicas, 0);
  const find = (wanted: (lane: Lane<T>) => boolean): Lane<T> | undefined => [...lanes].find(wanted);
  const hasPlace = ({ phase }: Lane<T>): boolean => phase === "busy" || phase === "idle";
  /** A lane without anything to do, now or when its gang is ready. */
  const isSpare = (lane: Lane<T>): boolean =>
    lane.item === null && (lane.phase === "idle" || lane.phase === "starting");

  const changed = (): void => {
    change.resolve();
    change = deferred();
    if (lanes.size === 0 && stopping()) done.resolve();
  };
  const killAll = (): void => {
    for (const lane of lanes) lane.session.kill();
    changed();
  };
  const fail = (error: unknown): void => {
    fatal ??= { error };
    killAll();
  };

  /** The model of the cluster may be wrong, if others use it: then the gang waits in Ray's queue, and no smaller one starts. */
  const fits = (replicas: number): boolean =>
    lanes.size === 0 ||
    (lanes.size < bound &&
      used() + replicas <= room &&
      find((lane) => lane.phase === "starting" && lane.replicas > replicas) === undefined);

  /** Gives items to lanes, in order, until there are no more. */
  const dispatch = async (): Promise<void> => {
    while (!stopping()) {
      const next = change.promise;
      if (find(isSpare) === undefined && !fits(smallest)) {
        await next;
        continue;
      }
      const item = await work.take();
      if (item !== null) {
        if (!(await give(item))) work.putBack(item);
        continue;
      }
      closeSpare();
      if (lanes.size === 0) break;
      // What runs may come back.
      await next;
    }
    if (lanes.size === 0) done.resolve();
  };

  /** Finds or starts a lane for the item, as soon as there is room; false if the run is stopped before. */
  const give = async (item: T): Promise<boolean> => {
    const replicas = await work.replicas(item);
    while (!stopping()) {
      const next = change.promise;
      const spare = (phase: Lane<T>["phase"]) =>
        find((lane) => isSpare(lane) && lane.phase === phase && lane.replicas === replicas);
      const lane = spare("idle") ?? spare("starting") ?? (fits(replicas) ? startLane(replicas) : undefined);
      if (lane !== undefined) {
        lane.item = item;
        lane.wake.resolve();
        return true;
      }
      closeSpare();
      await next;
    }
    return false;
  };

  const closeSpare = (): void => {
    for (const lane of [...lanes].filter(isSpare)) {
      if (lane.phase === "starting") lane.session.kill();
      lane.phase = "stopping";
      lane.wake.resolve();
    }
  };

  const startLane = (replicas: number): Lane<T> => {
    const bounded = find((lane) => hasPlace(lane) || (lane.bounded && lane.phase === "starting")) === undefined;
    const session = openGangSession(cluster, {
      name: `${options.name}-${++started}`,
      request: placement.request(replicas),
      placementDeadlineSeconds: bounded ? options.placementDeadline : 0,
      stopGraceSeconds: options.stopGraceSeconds,
    });
    const lane: Lane<T> = { replicas, session, phase: "starting", bounded, item: null, wake: deferred() };
    lanes.add(lane);
    runLane(lane)
      .catch(fail)
      .finally(() => {
        lanes.delete(lane);
        if (lane.item !== null) work.putBack(lane.item);
        changed();
      });
    return lane;
  };

  const runLane = async (lane: Lane<T>): Promise<void> => {
    const { session } = lane;
    try {
      const ready = await session.ready;
      if (!ready.ok) {
        if (lane.phase === "starting" && !stopping()) await startFailed(lane, ready.ended);
        return;
      }
      startFailures = 0;
      while (session.clean && !stopping() && lane.phase !== "stopping") {
        const item = nextItem(lane);
        if (item === null) {
          lane.phase = "idle";
          lane.wake = deferred();
          changed();
          await Promise.race([lane.wake.promise, session.ended]);
          continue;
        }
        lane.phase = "busy";
        changed();
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

  /** The lane's own item, or that of a lane whose gang may wait for its place for long. */
  const nextItem = (lane: Lane<T>): T | null => {
    const from =
      lane.item !== null
        ? lane
        : find(({ phase, replicas, item }) => phase === "starting" && replicas === lane.replicas && item !== null);
    const item = from?.item ?? null;
    if (from !== undefined) from.item = null;
    return item;
  };

  const startFailed = async (lane: Lane<T>, ended: GangEnded): Promise<void> => {
    const others = find((other) => other !== lane && hasPlace(other)) !== undefined;
    const { cause, message } = ended;
    if (cause === GangEndCause.GANG_END_CAUSE_SHUTDOWN) throw new DistmisError("CLUSTER_UNAVAILABLE", message);
    // Another gang found a place meanwhile; this one may wait without a bound.
    if (cause === GangEndCause.GANG_END_CAUSE_PLACEMENT_DEADLINE && others) return;
    if (!isPlacement(cause) && ++startFailures <= options.maxStartFailures) {
      await work.warn(`a worker could not be started and is tried again: ${message}`);
      return;
    }
    // Nodes have left: the trial may do with fewer replicas.
    if (lane.item !== null && (await work.replicas(lane.item)) !== lane.replicas) return;
    if (!others) throw new DistmisError(startErrorCode(cause), message);
    bound = Math.max(1, lanes.size - 1);
    room = Math.max(1, used() - lane.replicas);
    await work.warn(`continuing with ${bound === 1 ? "1 trial" : `${bound} trials`} at once: ${message}`);
  };

  const onFinish = (): void => {
    for (const lane of lanes) {
      if (lane.phase === "starting") lane.session.kill();
      else lane.session.requestStop("the run is being stopped");
      lane.wake.resolve();
    }
    changed();
  };
  let graceTimer: NodeJS.Timeout | undefined;
  const onStop = (): void => {
    onFinish();
    graceTimer = setTimeout(killAll, options.stopGraceSeconds * 1000);
  };
  options.finish.addEventListener("abort", onFinish, { once: true });
  options.stop.addEventListener("abort", onStop, { once: true });
  options.kill.addEventListener("abort", killAll, { once: true });
  void cluster.lost.then((reason) => {
    // A stop often reaches the shim as well: SLURM and systemd tell every process.
    if (stopping()) killAll();
    else fail(new DistmisError("CLUSTER_UNAVAILABLE", `the cluster went away: ${reason}`));
  });
  try {
    dispatch().catch(fail);
    await done.promise;
  } finally {
    clearTimeout(graceTimer);
    options.finish.removeEventListener("abort", onFinish);
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
