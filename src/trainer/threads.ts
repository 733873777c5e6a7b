/**
 * What the two threads of a trainer share. The main thread runs tasks, and TensorFlow blocks it for seconds; the control
 * thread owns the pipes, so that heartbeats, stop requests and the end of the input are dealt with meanwhile.
 */
import type { Assignment } from "../generated/distmis/v1/trainer.ts";

/** Control thread to main thread. */
export type ToMain =
  /** Work; `sequence` counts the assignments from 1. */
  | { type: "assign"; sequence: number; assignment: Assignment }
  /** More of the main thread's frames have gone into the pipe, as it asked to be told. */
  | { type: "sent" };

/** Main thread to control thread. */
export interface ToControl {
  /** To be written to the pipe as it is, soon; at once if it ends the trial. */
  frame: Uint8Array<ArrayBuffer>;
  /** The frame is the TrialEnded of the assignment at work. */
  endsTrial: boolean;
}

export interface ControlData {
  shared: SharedArrayBuffer;
  distmisVersion: string;
  collectivePort: number;
}

/** Some numbers that both threads see at any time, without a message. */
export interface SharedState {
  /** The main thread is alive now. */
  markAlive(): void;
  /** Seconds since the main thread last said that it was alive. */
  silentSeconds(): number;
  /** The assignments up to this one are to stop. */
  requestStop(sequence: number): void;
  stopRequested(sequence: number): boolean;
  /** So many more bytes of the main thread's frames have gone into the pipe; whether the main thread asked to be told. */
  sent(bytes: number): boolean;
  /** How many bytes have gone into the pipe so far, modulo 2^32. */
  sentBytes(): number;
  /** Asks once to be told when more is sent; what was sent before is in the next `sentBytes`. */
  askForSent(): void;
}

export const SHARED_BYTES = 24;

export function sharedState(buffer: SharedArrayBuffer): SharedState {
  // Nanoseconds of the monotonic clock, which is the same in all threads of a process.
  const alive = new BigInt64Array(buffer, 0, 1);
  const stopUpTo = new Int32Array(buffer, 8, 1);
  const sent = new Int32Array(buffer, 12, 1);
  const asked = new Int32Array(buffer, 16, 1);
  return {
    markAlive: () => void Atomics.store(alive, 0, process.hrtime.bigint()),
    silentSeconds: () => Number(process.hrtime.bigint() - Atomics.load(alive, 0)) / 1e9,
    requestStop: (sequence) => void Atomics.store(stopUpTo, 0, sequence),
    stopRequested: (sequence) => Atomics.load(stopUpTo, 0) >= sequence,
    sent(bytes) {
      Atomics.add(sent, 0, bytes);
      return Atomics.exchange(asked, 0, 0) === 1;
    },
    sentBytes: () => Atomics.load(sent, 0),
    askForSent: () => void Atomics.store(asked, 0, 1),
  };
}
