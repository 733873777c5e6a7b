/** The main thread's side of the control thread. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Assignment } from "../generated/distmis/v1/trainer.ts";
import { moduleUrl, packageVersion, workerUrl } from "../paths/index.ts";
import { encodeFromTrainer, type FromTrainerMessage } from "../wire/index.ts";
import { type ControlData, SHARED_BYTES, sharedState, type ToControl, type ToMain } from "./threads.ts";

const ALIVE_MS = 250;

/** So many bytes may wait for the orchestrator before a task has to. */
const UNSENT_LIMIT_BYTES = 256 * 1024;

export interface Control {
  /** Sends a message; resolves when there is room for more. At the call it is encoded, so it may be changed after. */
  send(message: FromTrainerMessage): Promise<void>;
  /** Resolves when all that was sent has gone into the pipe. */
  flushed(): Promise<void>;
  /** Whether this assignment was asked to stop; true at once, whatever the event loop does. */
  stopRequested(sequence: number): boolean;
}

/**
 * Starts the control thread, which takes over file descriptors 0 and 3 and says Ready.
 * @param collectivePort see Ready in trainer.proto
 * @param onAssign is called with each assignment, one at a time
 * @param onError is called if the thread fails, which is a defect
 */
export function startControl(
  collectivePort: number,
  onAssign: (assignment: Assignment, sequence: number) => void,
  onError: (error: unknown) => void,
): Control {
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const state = sharedState(shared);
  state.markAlive();
  setInterval(state.markAlive, ALIVE_MS);

  /** Of all frames, modulo 2^32. */
  let givenBytes = 0;
  const unsentBytes = (): number => (givenBytes - state.sentBytes()) | 0;
  let waiting: { limit: number; resolve: () => void }[] = [];

  const workerData: ControlData = { shared, distmisVersion: packageVersion(), collectivePort };
  const thread = new Worker(workerUrl(moduleUrl("trainer/control-thread")), {
    workerData,
  });
  thread.on("error", onError);
  thread.on("message", (message: ToMain) => {
    if (message.type === "assign") {
      onAssign(message.assignment, message.sequence);
      return;
    }
    lookAtSent();
  });

  const lookAtSent = (): void => {
    if (waiting.length > 0) state.askForSent();
    const unsent = unsentBytes();
    for (const waiter of waiting) if (unsent <= waiter.limit) waiter.resolve();
    waiting = waiting.filter((waiter) => unsent > waiter.limit);
  };

  const unsentBelow = async (limit: number): Promise<void> => {
    if (unsentBytes() <= limit) return;
    const below = new Promise<void>((resolve) => waiting.push({ limit, resolve }));
    lookAtSent();
    await below;
  };

  return {
    async send(message) {
      state.markAlive();
      const frame = encodeFromTrainer(message);
      givenBytes = (givenBytes + frame.byteLength) | 0;
      const toControl: ToControl = {
        frame,
        endsTrial: message.$case === "ended",
      };
      thread.postMessage(toControl, [frame.buffer]);
      // A task that never waits for anything else would keep the event loop from hearing what was sent.
      await nextTurn();
      await unsentBelow(UNSENT_LIMIT_BYTES);
    },
    flushed: () => unsentBelow(0),
    stopRequested(sequence) {
      state.markAlive();
      return state.stopRequested(sequence);
    },
  };
}
