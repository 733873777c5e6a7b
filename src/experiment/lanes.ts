/**
 * As many gangs at once as there is room and work for. A lane is one gang from its start to its end: it works on trials as
 * long as its trainers stay clean and there are trials for gangs of its size.
 *
 * Trials are given to gangs in their order: one for which there is no room waits, lanes that have nothing to do make room
 * for it, and no later trial starts before it has its gang. So a large trial is never starved by small ones.
 */
import { deferred } from "../async/index.ts";
import type { Cluster } from "../cluster/index.ts";
import { DistmisError } from "../errors/index.ts";
import { GangEndCause, type GangEnded } from "../generated/distmis/v1/cluster.ts";
import { createDelays } from "./delays.ts";
import { openGangSession } from "./gang-session.ts";
import {
  close,
  endsBeside,
  hasPlace,
  isIdleBeside,
  isPlacement,
  isSpare,
  type Lane,
  type LaneOptions,
  type LaneWork,
  startErrorCode,
  surplus,
} from "./lane.ts";
import { createNodeWait } from "./node-wait.ts";
import { watchSignals } from "./signals.ts";
import { createTurns } from "./turns.ts";

/** A warm trainer has nothing left to do when its input closes: it ends at once, or not at all. */
const CLOSE_GRACE_SECONDS = 5;

/** Between two looks at the cluster, while something waits for room. */
const WATCH_MS = 2000;

/** Runs lanes until there is no work left, or `stop`; resolves when every gang has ended. Throws what can't be worked around. */
export async function runLanes<T>(cluster: Cluster, work: LaneWork<T>, options: LaneOptions): Promise<void> {
  const lanes = new Set<Lane<T>>();
  const done = deferred();
  /** Upper bound of lanes; less than the room where gangs could not start. */
  let { bound } = options.placement;
  let change = deferred();
  let started = 0;
  let startFailures = 0;
  /** What can't be worked around; the first is told. */
  const fatal: unknown[] = [];
  /** Whether there is something to run for which there is no room. */
  let isShort = false;

  const stopping = (): boolean =>
    options.finish.aborted || options.stop.aborted || options.kill.aborted || fatal.length > 0;
  /** Those that are not on a node that is left out: it is no part of the room. */
  const inRoom = (): Lane<T>[] => [...lanes].filter((lane) => !isOut(lane));
  const used = (): number => inRoom().reduce((sum, { replicas }) => sum + replicas, 0);
  const find = (wanted: (lane: Lane<T>) => boolean): Lane<T> | undefined => [...lanes].find(wanted);

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
    fatal.push(error);
    killAll();
  };
  const nodeWait = createNodeWait(options.placementDeadline, work.warn, fail);
  const delays = createDelays<T>((item) => {
    work.putBack(item);
    changed();
  });
  const room = await options.room(() => {
    bound = options.placement.bound;
    [...lanes].filter((lane) => lane.phase === "idle" && isOut(lane)).forEach(close);
    // Their places have gone.
    surplus(inRoom(), room.capacity.room).forEach(close);
    changed();
  });
  const isOut = ({ nodes }: Lane<T>): boolean => nodes.some(room.isOut);

  /** The model of the cluster may be wrong, if others use it: then the gang waits in Ray's queue, and no smaller one starts. */
  const fits = (replicas: number): boolean =>
    room.holds(replicas) &&
    (lanes.size === 0 ||
      (lanes.size < bound &&
        used() + replicas <= room.capacity.room &&
        find((lane) => lane.phase === "starting" && lane.replicas > replicas) === undefined));

  /** Gives items to lanes, in order, until there are no more. */
  const dispatch = async (): Promise<void> => {
    while (!stopping()) {
      const next = change.promise;
      const smallest = Math.min(...room.capacity.sizes.map(({ replicas }) => replicas));
      if (find(isSpare) === undefined && !fits(smallest)) {
        await roomFor(smallest, next, work.remaining() + turns.aside > 0);
        continue;
      }
      const item = await turns.next();
      if (item !== null) {
        if (!(await give(item))) work.putBack(item);
        continue;
      }
      if (!delays.isOneDue()) closeSpare();
      if (lanes.size === 0 && delays.size === 0) break;
      // What runs may come back.
      await next;
    }
    if (lanes.size === 0) done.resolve();
  };

  /** Waits for a change while something is short of room; if nothing runs, and the nodes hold nothing, not for ever. */
  const roomFor = async (replicas: number, next: Promise<void>, waits: boolean): Promise<void> => {
    if (lanes.size === 0 && !room.holds(replicas)) await nodeWait.begin(room.capacity.missing);
    isShort = waits;
    await next;
    isShort = false;
  };

  const turns = createTurns<T>({
    take: work.take,
    avoids: work.avoids,
    async hasPlaceBeside(item, node) {
      const replicas = await work.replicas(item, room.request);
      return find((lane) => isIdleBeside(lane, node, replicas)) !== undefined || isFree(replicas, node);
    },
  });
  const isFree = async (replicas: number, node: string): Promise<boolean> =>
    fits(replicas) && (await room.isFreeBeside(replicas, node));

  /** Finds or starts a lane for the item, as soon as there is room; false if the run is stopped before. */
  const give = async (item: T): Promise<boolean> => {
    while (!stopping()) {
      const next = change.promise;
      const replicas = await work.replicas(item, room.request);
      const node = turns.avoids(item);
      const lane = node === null ? laneFor(replicas) : await laneBeside(replicas, node);
      if (lane !== undefined) {
        lane.item = item;
        lane.wake.resolve();
        return true;
      }
      closeSpare();
      await roomFor(replicas, next, true);
    }
    return false;
  };

  /** One that has nothing to do, or a new one. */
  const laneFor = (replicas: number): Lane<T> | undefined => {
    const spare = (phase: Lane<T>["phase"]) =>
      find((lane) => isSpare(lane) && lane.phase === phase && lane.replicas === replicas);
    return spare("idle") ?? spare("starting") ?? (fits(replicas) ? startLane(replicas, null) : undefined);
  };

  /** One that is not on this node, unless there is no other place, not even in a moment. */
  const laneBeside = async (replicas: number, node: string): Promise<Lane<T> | undefined> => {
    const idle = find((lane) => isIdleBeside(lane, node, replicas));
    if (idle !== undefined) return idle;
    if (await isFree(replicas, node)) return startLane(replicas, node);
    return find((lane) => endsBeside(lane, node)) === undefined ? laneFor(replicas) : undefined;
  };

  const closeSpare = (): void => [...lanes].filter(isSpare).forEach(close);

  const startLane = (replicas: number, avoided: string | null): Lane<T> => {
    nodeWait.end();
    const bounded = find((lane) => hasPlace(lane) || (lane.bounded && lane.phase === "starting")) === undefined;
    const name = `${options.name}-${++started}`;
    const session = openGangSession(cluster, {
      name,
      request: room.request(replicas, avoided),
      placementDeadlineSeconds: bounded ? options.placementDeadline : 0,
      stopGraceSeconds: options.stopGraceSeconds,
      patience: options.patience,
    });
    const phase = "starting";
    const lane: Lane<T> = { name, replicas, session, phase, bounded, avoided, nodes: [], item: null, wake: deferred() };
    lanes.add(lane);
    void session.ended.then(() => lane.wake.resolve());
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
      lane.nodes = ready.workers.map(({ nodeId }) => nodeId);
      while (session.clean && !stopping() && lane.phase !== "stopping" && !isOut(lane)) {
        const item = nextItem(lane);
        if (item === null) {
          lane.phase = "idle";
          lane.wake = deferred();
          changed();
          await lane.wake.promise;
          continue;
        }
        lane.phase = "busy";
        changed();
        const verdict = await work.run(session, ready.workers, item, stopping);
        if (verdict === "cluster_lost") {
          throw new DistmisError("CLUSTER_UNAVAILABLE", `the cluster went away: ${(await session.ended).message}`);
        }
        if (verdict === "retry" || verdict === "interrupted") work.putBack(item);
        if (verdict === "lost") {
          delays.add(item, options.retryDelay(work.losses(item)));
          await look();
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
    const { cause, message, nodeId } = ended;
    if (cause === GangEndCause.GANG_END_CAUSE_SHUTDOWN) throw new DistmisError("CLUSTER_UNAVAILABLE", message);
    // Another gang found a place meanwhile; this one may wait without a bound.
    if (cause === GangEndCause.GANG_END_CAUSE_PLACEMENT_DEADLINE && others) return;
    if (isPlacement(cause) && lane.avoided !== null) {
      if (lane.item !== null) turns.attach(lane.item);
      return;
    }
    if (!isPlacement(cause)) work.startFailed(lane.name, ended);
    await look(isPlacement(cause));
    // Nodes have left, or one is left out.
    if (stopping() || !room.holds(lane.replicas) || (nodeId !== undefined && room.isOut(nodeId))) return;
    if (!isPlacement(cause) && ++startFailures <= options.maxStartFailures) {
      if (lane.item !== null) delays.add(lane.item, options.retryDelay(startFailures));
      lane.item = null;
      await work.warn(`a worker could not be started and is tried again: ${message}`);
      return;
    }
    if (!others) throw new DistmisError(startErrorCode(cause), message);
    bound = Math.max(1, lanes.size - 1);
    await work.warn(`continuing with ${bound === 1 ? "1 trial" : `${bound} trials`} at once: ${message}`);
  };

  /** What can't be seen now is seen the next time, or the cluster is lost, which is told by itself. */
  const look = (doubted = false): Promise<void> => room.refresh(doubted).catch(() => {});
  const watch = setInterval(() => {
    if (isShort || find(({ phase }) => phase === "starting") !== undefined) void look();
  }, WATCH_MS);
  const askToEnd = (): void => {
    for (const lane of lanes) {
      if (lane.phase === "starting") lane.session.kill();
      else lane.session.requestStop("the run is being stopped");
      lane.wake.resolve();
    }
    delays.flush();
    changed();
  };
  const unwatch = watchSignals(options, askToEnd, killAll);
  void cluster.lost.then((reason) => {
    // A stop often reaches the shim as well: SLURM and systemd tell every process.
    if (stopping()) killAll();
    else fail(new DistmisError("CLUSTER_UNAVAILABLE", `the cluster went away: ${reason}`));
  });
  try {
    dispatch().catch(fail);
    await done.promise;
  } finally {
    nodeWait.end();
    clearInterval(watch);
    unwatch();
    delays.flush();
  }
  if (fatal.length > 0) throw fatal[0];
}
