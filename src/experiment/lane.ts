/** What lanes work on and with what they do so, and what one is; lanes.ts runs them. */
import type { Deferred } from "../async/index.ts";
import type { ErrorCode } from "../errors/index.ts";
import { GangEndCause, type GangEnded, type GangRequest, type Worker } from "../generated/distmis/v1/cluster.ts";
import type { GangSession } from "./gang-session.ts";
import type { Verdict } from "./judge.ts";
import type { Placement } from "./placement.ts";
import type { Room } from "./room.ts";
import type { EndSignals } from "./signals.ts";
import type { Patience } from "./silence.ts";

export interface LaneWork<T> {
  /** The next item, those that came back first; null if there is none. May wait. */
  take(): Promise<T | null>;
  /** How many replicas the item is to have now, given how gangs are asked for. */
  replicas(item: T, request: (replicas: number) => GangRequest): Promise<number>;
  /** The node that lost the item last: it starts on another one if it can. */
  avoids(item: T): string | null;
  /** Works on an item. While `stopping`, gangs are ended by us: a lost one is no failure. */
  run(session: GangSession, workers: readonly Worker[], item: T, stopping: () => boolean): Promise<Verdict>;
  /** Puts back an item that was not begun, or whose gang was lost. */
  putBack(item: T): void;
  /** How many items there still are; Infinity if that is open. */
  remaining(): number;
  /** How often an item was lost. */
  losses(item: T): number;
  /** A gang did not start. */
  startFailed(name: string, ended: GangEnded): void;
  /** Something that the user should know. */
  warn(text: string): Promise<void>;
}

export interface LaneOptions extends EndSignals {
  name: string;
  placement: Placement;
  /** Makes the room that the lanes have; they are told of its changes. */
  room(changed: () => void): Promise<Room>;
  /** Seconds that the first gang may wait for a place, or for nodes when all that could be used have left; 0: without an end. */
  placementDeadline: number;
  /** How often gangs may fail to start in a row before it is given up. */
  maxStartFailures: number;
  /** Seconds before something that was lost so many times is tried again. */
  retryDelay(times: number): number;
  patience: Patience;
}

/** One gang from its start to its end. */
export interface Lane<T> {
  readonly name: string;
  readonly replicas: number;
  readonly session: GangSession;
  phase: "starting" | "idle" | "busy" | "stopping";
  /** Whether its start is bounded, because no other gang had a place yet. */
  readonly bounded: boolean;
  /** A node that it was kept off for its first item. */
  readonly avoided: string | null;
  /** Ids of its nodes, once it has a place. */
  nodes: readonly string[];
  /** What it is to work on next. Until its gang is ready, another lane of its size may take it over. */
  item: T | null;
  /** Ends the wait of an idle lane; so does the end of its gang. */
  wake: Deferred<void>;
}

/** Whether its gang has a place. */
export function hasPlace({ phase }: Lane<unknown>): boolean {
  return phase === "busy" || phase === "idle";
}

/** Whether it has nothing to do, now or when its gang is ready. */
export function isSpare({ item, phase }: Lane<unknown>): boolean {
  return item === null && (phase === "idle" || phase === "starting");
}

/** Whether it waits for work, has so many replicas, and none of them on this node. */
export function isIdleBeside({ item, phase, replicas, nodes }: Lane<unknown>, node: string, wanted: number): boolean {
  return item === null && phase === "idle" && replicas === wanted && !nodes.includes(node);
}

/** Whether its place, which is not on this node, is free in a moment. */
export function endsBeside({ phase, nodes }: Lane<unknown>, node: string): boolean {
  return phase === "stopping" && nodes.length > 0 && !nodes.includes(node);
}

/** Lets it end: at once if its gang has no place yet, else when it has nothing to do. */
export function close(lane: Lane<unknown>): void {
  if (lane.phase === "starting") lane.session.kill();
  lane.phase = "stopping";
  lane.wake.resolve();
}

/** The lanes that wait for their places though there are only so many replicas' places in all: the last ones that started. */
export function surplus<L extends Lane<unknown>>(lanes: Iterable<L>, room: number): L[] {
  const staying = [...lanes].filter(({ phase }) => phase !== "stopping");
  let excess = staying.reduce((sum, { replicas }) => sum + replicas, 0) - room;
  return staying.toReversed().filter(({ phase, replicas }) => {
    if (phase !== "starting" || excess <= 0) return false;
    excess -= replicas;
    return true;
  });
}

/** Whether a gang ended for want of a place. */
export function isPlacement(cause: GangEndCause): boolean {
  return cause === GangEndCause.GANG_END_CAUSE_REFUSED || cause === GangEndCause.GANG_END_CAUSE_PLACEMENT_DEADLINE;
}

export function startErrorCode(cause: GangEndCause): ErrorCode {
  return isPlacement(cause) ? "PLACEMENT_REFUSED" : "TRAINER_FAILED";
}
