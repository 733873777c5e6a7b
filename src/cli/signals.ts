/** How a person stops a command: once in peace, twice by force. */
import { readFileSync } from "node:fs";

export interface StopSignals {
  /** The first SIGINT, SIGTERM or SIGHUP, or nobody reads the output any more. */
  readonly stop: AbortSignal;
  /** The second one. */
  readonly kill: AbortSignal;
  /** Back to Node's own handling. */
  release(): void;
}

/** Both of one key press (a shell that forwards the signal, `npm run`) count as one. */
const SAME_PRESS_MILLISECONDS = 300;

/** Listens until `release`. `onStop` is called at the first signal, for a word to the user. */
export function listenForStop(onStop: () => void): StopSignals {
  const stop = new AbortController();
  const kill = new AbortController();
  let first = 0;
  const onSignal = (): void => {
    if (!stop.signal.aborted) {
      first = Date.now();
      onStop();
      stop.abort();
    } else if (Date.now() - first > SAME_PRESS_MILLISECONDS) kill.abort();
  };
  const onBrokenPipe = (error: NodeJS.ErrnoException): void => {
    if (error.code === "EPIPE" && !stop.signal.aborted) stop.abort();
  };
  const signals: NodeJS.Signals[] = hangupIgnored() ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  process.stdout.on("error", onBrokenPipe);
  return {
    stop: stop.signal,
    kill: kill.signal,
    release() {
      for (const signal of signals) process.off(signal, onSignal);
      process.stdout.off("error", onBrokenPipe);
    },
  };
}

/** Whether we were started by `nohup`, which a handler of ours would undo. Bit 0 of SigIgn is SIGHUP. */
function hangupIgnored(): boolean {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false;
  }
}
