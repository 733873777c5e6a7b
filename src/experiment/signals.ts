/** How a run is told to end before it has run all its trials. */
export interface EndSignals {
  /** Ends the running items after their step, however long that takes, and then all gangs. */
  finish: AbortSignal;
  /** The same, and ends all gangs after the grace. */
  stop: AbortSignal;
  /** Ends all gangs at once. */
  kill: AbortSignal;
  stopGraceSeconds: number;
}

/** Calls `ask` and `killAll` when it is time; returns what ends that. */
export function watchSignals(
  { finish, stop, kill, stopGraceSeconds }: EndSignals,
  ask: () => void,
  killAll: () => void,
): () => void {
  let grace: NodeJS.Timeout | undefined;
  const onStop = (): void => {
    ask();
    grace = setTimeout(killAll, stopGraceSeconds * 1000);
  };
  finish.addEventListener("abort", ask, { once: true });
  stop.addEventListener("abort", onStop, { once: true });
  kill.addEventListener("abort", killAll, { once: true });
  return () => {
    clearTimeout(grace);
    finish.removeEventListener("abort", ask);
    stop.removeEventListener("abort", onStop);
    kill.removeEventListener("abort", killAll);
  };
}
