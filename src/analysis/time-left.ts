/** How long a run still takes, for the terminal and for the page. */

export interface Workload {
  /** Trials that have yet to start; null if that is open. */
  open: number | null;
  /** Of trials that have ended and not failed: their seconds times their replicas, and how many they are. */
  spent: { seconds: number; trials: number };
  /** Replicas that work at once at most; null if that is not known. */
  atOnce: number | null;
  running: readonly RunningTrial[];
}

export interface RunningTrial {
  epoch: number;
  epochs: number;
  /** Seconds of its last epoch; 0 before it. */
  epochSeconds: number;
  /** Milliseconds since 1970: start of the attempt. */
  since: number;
  replicas: number;
}

/**
 * Seconds until the last trial ends: those to come as the mean of the ended ones, or as the running ones go on; running ones by the
 * epochs that they still have. Null if that can't be told. @param now milliseconds since 1970
 */
export function timeLeft({ open, spent, atOnce, running }: Workload, now: number): number | null {
  if (open === null || atOnce === null || atOnce === 0) return null;
  const paced = running.filter(({ epochSeconds }) => epochSeconds > 0);
  const whole = paced.map(({ epochs, epochSeconds, replicas }) => epochs * epochSeconds * replicas);
  const typical = spent.trials > 0 ? spent.seconds / spent.trials : mean(whole);
  if (typical === null) return null;
  const rests = running.map(({ epoch, epochs, epochSeconds, since, replicas }) =>
    epochSeconds > 0
      ? Math.max(0, epochs - epoch) * epochSeconds
      : Math.max(0, typical / replicas - (now - since) / 1000),
  );
  const work = open * typical + rests.reduce((sum, rest, at) => sum + rest * (running[at]?.replicas ?? 1), 0);
  return Math.max(work / atOnce, ...rests);
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
