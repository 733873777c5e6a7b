/** The end of a node: of the processes that carry its mark in their environment, and of no others. */
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError } from "../errors/index.ts";
import { type FoundProcess, processesWith } from "../processes/index.ts";
import { RAY_COMMAND } from "./start.ts";

const POLL_MILLISECONDS = 50;

/** Sends a signal to processes; those that have ended meanwhile are left out. */
function signalAll(processes: readonly FoundProcess[], signal: "SIGTERM" | "SIGKILL"): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended.
    }
  }
}

/**
 * Kills processes by SIGKILL until there are none.
 * @throws DistmisError CLUSTER_UNAVAILABLE if some do not die
 */
export async function killAll(find: () => FoundProcess[], deadlineMilliseconds = 15_000): Promise<void> {
  const end = performance.now() + deadlineMilliseconds;
  for (let left = find(); left.length > 0; left = find()) {
    if (performance.now() > end) {
      const who = left.map(({ pid }) => pid).join(", ");
      throw new DistmisError("CLUSTER_UNAVAILABLE", `processes of Ray can't be killed: ${who}`);
    }
    signalAll(left, "SIGKILL");
    await delay(POLL_MILLISECONDS);
  }
}

/**
 * Ends all processes that were started with one of these variables ("NAME=value") in their environment.
 * @param graceMilliseconds for this long `ray start --block` may end its node in peace; 0: all are killed at once
 * @throws DistmisError CLUSTER_UNAVAILABLE if some do not die
 */
export async function endMarked(variables: readonly string[], graceMilliseconds: number): Promise<void> {
  const find = (): FoundProcess[] => variables.flatMap(processesWith);
  if (graceMilliseconds === 0) return killAll(find);
  signalAll(
    find().filter(({ command }) => command.includes(RAY_COMMAND)),
    "SIGTERM",
  );
  const end = performance.now() + graceMilliseconds;
  while (find().length > 0 && performance.now() < end) await delay(POLL_MILLISECONDS);
  await killAll(find);
}
