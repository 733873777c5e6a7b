/**
 * Which trainers of a gang have fallen silent, and whether its trial has. Time is counted in ticks of a second, and only
 * while the gang's news are waited for: neither a pause of this process nor a slow reader of events passes for silence.
 */

/** How long is waited for a gang. In seconds. */
export interface Patience {
  /** For anything from each trainer that is ready: it sends a heartbeat every second. */
  heartbeatSeconds: number;
  /** For a report of the trial; 0 waits for ever. */
  stallSeconds: number;
  /** A trial may always be silent for so many times its own longest time between two reports. */
  stallFactor: number;
}

/** For a task that need not report. */
export const PATIENT: Patience = { heartbeatSeconds: 30, stallSeconds: 0, stallFactor: 1 };

/** From the start of a trainer's process until it is ready: it may have to read all its code over a slow network. */
const START_SECONDS = 300;
const TICK_MS = 1000;

export interface Silence {
  /** The trainer that is silent; null if they all are alive, and the trial is silent. */
  rank: number | null;
  /** What is to be said of it. */
  text: string;
}

export interface SilenceWatch {
  /** All trainers have been started. */
  placed(): void;
  ready(rank: number): void;
  /** Something came from this trainer. */
  heard(rank: number): void;
  /** A trial begins; it may take as long to its first report as between two. */
  begin(): void;
  reported(): void;
  /** The trial is over. */
  end(): void;
  /** Around the handling of news. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** @param onSilence is called once at most */
export function createSilenceWatch(
  replicas: number,
  { heartbeatSeconds, stallSeconds, stallFactor }: Patience,
  onSilence: (silence: Silence) => void,
): SilenceWatch {
  /** Ticks since something was heard of each rank, and for how many it may be silent; empty before the start. */
  const ranks: { silent: number; limit: number }[] = [];
  let trial: { silent: number; longest: number } | null = null;
  let paused = false;
  let over = false;

  const stallLimit = (): number =>
    stallSeconds > 0 && trial !== null ? Math.max(stallSeconds, stallFactor * trial.longest) : Number.POSITIVE_INFINITY;

  const silence = (): Silence | null => {
    for (const [rank, { silent, limit }] of ranks.entries()) {
      if (silent < limit) continue;
      return limit === START_SECONDS
        ? { rank, text: `was not ready within ${limit} s of its start` }
        : { rank, text: `is frozen: no heartbeat for ${limit} s (failure.heartbeat_timeout)` };
    }
    const limit = stallLimit();
    if (trial === null || trial.silent < limit) return null;
    const why =
      limit > stallSeconds ? `${stallFactor} times its longest time between two reports` : "failure.stall_timeout";
    return { rank: null, text: `has reported nothing for ${Math.round(limit)} s (${why})` };
  };

  const tick = (): void => {
    if (paused || over) return;
    for (const rank of ranks) rank.silent++;
    if (trial !== null) trial.silent++;
    const found = silence();
    if (found === null) return;
    close();
    onSilence(found);
  };
  const timer = setInterval(tick, TICK_MS);
  const close = (): void => {
    over = true;
    clearInterval(timer);
  };

  return {
    placed() {
      for (let rank = 0; rank < replicas; rank++) ranks.push({ silent: 0, limit: START_SECONDS });
    },
    ready(rank) {
      ranks[rank] = { silent: 0, limit: heartbeatSeconds };
    },
    heard(rank) {
      const own = ranks[rank];
      if (own !== undefined) own.silent = 0;
    },
    begin() {
      trial = { silent: 0, longest: 0 };
    },
    reported() {
      if (trial !== null) trial = { silent: 0, longest: Math.max(trial.longest, trial.silent) };
    },
    end() {
      trial = null;
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
    },
    close,
  };
}
