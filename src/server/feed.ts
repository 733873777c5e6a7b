/**
 * The events of a run, for any number of clients that come and go. The run never waits for them: a client that falls behind
 * misses events, and is then told how the run stands, as one that has just come is.
 */
import { type Deferred, deferred } from "../async/index.ts";
import type {
  EpochEnded,
  RunEvent,
  RunPlaced,
  RunStarted,
  TrialEnded,
  TrialRetried,
  TrialStarted,
} from "../experiment/index.ts";

/** How a run stands, in numbers. */
export interface Standing {
  ended: number;
  /** Null if that is open. */
  total: number | null;
  running: number;
  best: number | null;
}

export interface RunFeed {
  /** Takes the next event. */
  push(event: RunEvent): void;
  /** No more will come. */
  end(): void;
  standing(): Standing;
  /** All that matters of the past, then what happens, until `signal`: events as JSON. To be iterated once. */
  follow(signal: AbortSignal): AsyncIterable<string>;
}

interface RunningTrial {
  started: TrialStarted;
  best: EpochEnded | null;
  last: EpochEnded | null;
}

interface Follower {
  /** Events as JSON that were not handed out yet. */
  backlog: string[];
  characters: number;
  /** It has missed something, at first everything. */
  behind: boolean;
  /** How many ends of trials it was told of. */
  endsTold: number;
  wake: Deferred<void>;
}

/** Words of distmis on the run, for those who come later: the last ones. */
const REMARKS_KEPT = 100;

/** @param maxBacklog characters that may wait for one follower */
export function createFeed(maxBacklog: number): RunFeed {
  let started: RunStarted | null = null;
  let placed: RunPlaced | null = null;
  const remarks: RunEvent[] = [];
  const running = new Map<string, RunningTrial>();
  const waiting = new Map<string, TrialRetried>();
  const ends: TrialEnded[] = [];
  let last: RunEvent | null = null;
  let best: number | null = null;
  let over = false;
  const followers = new Set<Follower>();

  const better = (value: number, than: number | null): boolean =>
    than === null || (started?.mode === "min" ? value < than : value > than);

  const note = (event: RunEvent): void => {
    switch (event.type) {
      case "run_started":
        // A run that lost its cluster starts again, and counts what has ended here as ended before.
        started ??= event;
        break;
      case "run_placed":
        placed = event;
        break;
      case "trial_started":
        waiting.delete(event.trial);
        running.set(event.trial, { started: event, best: null, last: null });
        break;
      case "epoch":
        noteEpoch(event);
        break;
      case "trial_retried":
        running.delete(event.trial);
        waiting.set(event.trial, event);
        break;
      case "trial_ended":
        running.delete(event.trial);
        waiting.delete(event.trial);
        ends.push(event);
        if (event.best !== null && better(event.best.value, best)) best = event.best.value;
        break;
      case "log":
        if (event.stream === "distmis") remarks.push(event);
        if (remarks.length > REMARKS_KEPT) remarks.shift();
        break;
      case "run_ended":
        last = event;
        break;
    }
  };

  const noteEpoch = (event: EpochEnded): void => {
    const trial = running.get(event.trial);
    const value = event.metrics[started?.metric ?? ""];
    if (value !== undefined && Number.isFinite(value) && better(value, best)) best = value;
    if (trial === undefined) return;
    trial.last = event;
    const before = trial.best?.metrics[started?.metric ?? ""];
    if (value !== undefined && better(value, before ?? null)) trial.best = event;
  };

  /** What somebody has to hear who knows of the first `endsTold` ends only. */
  const past = (endsTold: number): RunEvent[] => {
    const beginning = endsTold === 0 ? [started, placed, ...remarks] : [];
    const trials = [...running.values()].flatMap((trial) => [trial.started, trial.best, trial.last]);
    const events = [...beginning, ...ends.slice(endsTold), ...waiting.values(), ...new Set(trials), last];
    return events.filter((event) => event !== null);
  };

  async function* follow(signal: AbortSignal): AsyncGenerator<string, void> {
    const self: Follower = { backlog: [], characters: 0, behind: true, endsTold: 0, wake: deferred() };
    const leave = (): void => self.wake.resolve();
    signal.addEventListener("abort", leave);
    followers.add(self);
    try {
      while (!signal.aborted) {
        let batch = self.backlog;
        self.backlog = [];
        self.characters = 0;
        if (self.behind) {
          batch = past(self.endsTold).map((event) => JSON.stringify(event));
          self.behind = false;
        }
        self.endsTold = ends.length;
        yield* batch;
        if (self.backlog.length > 0 || self.behind) continue;
        if (over || signal.aborted) return;
        self.wake = deferred();
        await self.wake.promise;
      }
    } finally {
      signal.removeEventListener("abort", leave);
      followers.delete(self);
    }
  }

  return {
    push(event) {
      note(event);
      if (followers.size === 0) return;
      const text = JSON.stringify(event);
      for (const follower of followers) {
        if (follower.behind) continue;
        if (follower.characters + text.length > maxBacklog) {
          follower.behind = true;
          follower.backlog = [];
        } else {
          follower.backlog.push(text);
          follower.characters += text.length;
        }
        follower.wake.resolve();
      }
    },
    end() {
      over = true;
      for (const { wake } of followers) wake.resolve();
    },
    standing: () => ({
      ended: (started?.endedBefore ?? 0) + ends.filter(({ state }) => state !== "interrupted").length,
      total: started?.trials ?? null,
      running: running.size,
      best,
    }),
    follow,
  };
}
