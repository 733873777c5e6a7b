/** How a person stops a command: once in peace, twice by force. */
import { constants } from "node:os";
import { isatty } from "node:tty";

export interface StopSignals {
  /** The first SIGINT, SIGTERM, SIGHUP (the terminal is gone) or SIGUSR1, or standard output takes no more. */
  readonly stop: AbortSignal;
  /** The second one. */
  readonly kill: AbortSignal;
  /** Whether it was SIGUSR1 that stopped: the time limit of a SLURM job is near. */
  timeIsUp(): boolean;
  /** Back to Node's own handling. */
  release(): void;
}

/** Both of one key press (a shell that forwards the signal, `npm run`) count as one. */
const SAME_PRESS_MILLISECONDS = 300;

let stoppedBy: NodeJS.Signals = "SIGINT";

/** SLURM may warn a short job before its command listens: Node would open its debugger for whoever is on this host, and go on. */
let warnedEarly = false;
const warn = (): void => {
  warnedEarly = true;
};
process.on("SIGUSR1", warn);

/** Exit code of a command that was stopped: 128 and the number of the signal, as shells have it. */
export function stoppedExitCode(): number {
  return 128 + constants.signals[stoppedBy];
}

/**
 * An error of standard output or error that is no reason to end at once: nobody reads any more, or the terminal has gone. The
 * journal and the results are what a run is for, not its words.
 */
export function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === "EPIPE" || code === "EIO";
}

/** Listens until `release`. `onStop` is called at the first signal, for a word to the user. */
export function listenForStop(onStop: (signal: NodeJS.Signals) => void): StopSignals {
  const stop = new AbortController();
  const kill = new AbortController();
  let first = 0;
  const stopBy = (signal: NodeJS.Signals): void => {
    stoppedBy = signal;
    stop.abort();
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!stop.signal.aborted) {
      first = Date.now();
      onStop(signal);
      stopBy(signal);
    } else if (Date.now() - first > SAME_PRESS_MILLISECONDS) kill.abort();
  };
  // A terminal that has gone says so by SIGHUP, unless that is ignored: then the command goes on without it.
  const onOutputError = ({ code }: NodeJS.ErrnoException): void => {
    if (code !== "EIO" && !stop.signal.aborted) stopBy("SIGPIPE");
  };
  const signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"];
  const handler = (signal: NodeJS.Signals) => (signal === "SIGHUP" && !onTerminal() ? ignored : onSignal);
  const handlers = signals.map((signal) => [signal, handler(signal)] as const);
  for (const [signal, handle] of handlers) process.on(signal, handle);
  process.stdout.on("error", onOutputError);
  process.off("SIGUSR1", warn);
  if (warnedEarly) onSignal("SIGUSR1");
  return {
    stop: stop.signal,
    kill: kill.signal,
    timeIsUp: () => stop.signal.aborted && stoppedBy === "SIGUSR1",
    release() {
      for (const [signal, handle] of handlers) process.off(signal, handle);
      process.stdout.off("error", onOutputError);
    },
  };
}

/**
 * Whether there is a terminal that may go: a command without one was started to outlive it. `nohup` takes it from all three
 * streams, and is not to be told in another way: Node undoes its wish to have SIGHUP ignored.
 */
function onTerminal(): boolean {
  return [0, 1, 2].some((stream) => isatty(stream));
}

function ignored(): void {}
