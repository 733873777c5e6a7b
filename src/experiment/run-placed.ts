/** What a run says of the room that it has. */
import type { RunPlaced } from "./events.ts";
import type { Capacity, Placement } from "./placement.ts";

/** @param change nodes that have come and gone; empty at the start, where fewer trials than places are no news */
export function runPlaced(placement: Placement, capacity: Capacity, change: string, toRun: number): RunPlaced {
  const { cpus = 0, gpus = 0 } = placement.request(1).perReplica ?? {};
  const sizes = capacity.sizes.map(({ replicas, concurrency }) => ({
    replicas,
    concurrency: change === "" ? Math.min(concurrency, toRun) : concurrency,
  }));
  return {
    type: "run_placed",
    time: new Date().toISOString(),
    change,
    trials: Number.isFinite(toRun) ? toRun : null,
    concurrency: Math.max(...sizes.map((size) => size.concurrency)),
    sizes,
    room: capacity.room,
    cpus,
    gpus,
  };
}
