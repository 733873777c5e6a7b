/** How fast a run goes and in which room, by its journal: what its remaining time is reckoned from. */
import { type RunningTrial, timeLeft } from "../analysis/index.ts";
import type { RunView } from "../page-data/index.ts";
import { hasEnded, type JournalRecord, type RunState } from "../run-folder/index.ts";

export interface Pace {
  add(record: JournalRecord): void;
  readonly room: RunView["room"];
  readonly changes: RunView["changes"];
  readonly parts: number;
  /** Of a run that somebody works on. @param expected trials; null if that is open @param now milliseconds since 1970 */
  secondsLeft(state: RunState, expected: number | null, now: number): number | null;
}

/** A cluster whose nodes come and go all the time: the last ones tell how it is now. */
const MOST_CHANGES = 100;

export function createPace(): Pace {
  /** Of running attempts. */
  const starts = new Map<string, number>();
  const epochSeconds = new Map<string, number>();
  let room: RunView["room"] = null;
  let parts = 0;
  let atOnce: number | null = null;
  let changes: RunView["changes"] = [];

  const runningOf = ({ trials }: RunState): RunningTrial[] =>
    [...starts].flatMap(([trial, since]) => {
      const known = trials.get(trial);
      if (known?.state !== "running") return [];
      const { epoch, epochs, replicas } = known;
      return [{ epoch, epochs, replicas, since, epochSeconds: epochSeconds.get(trial) ?? 0 }];
    });

  return {
    get room() {
      return room;
    },
    get changes() {
      return changes;
    },
    get parts() {
      return parts;
    },
    add(record) {
      switch (record.type) {
        case "attempt_started": {
          starts.set(record.trial, Date.parse(record.time));
          const { placed } = record;
          if (placed === undefined) break;
          room = { replicas: placed.room, gpus: placed.gpus };
          atOnce = Math.max(0, ...placed.sizes.map(({ replicas, concurrency }) => replicas * concurrency));
          if (placed.change !== "")
            changes = [...changes, { at: Date.parse(record.time), text: placed.change }].slice(-MOST_CHANGES);
          break;
        }
        case "epoch":
          epochSeconds.set(record.trial, record.seconds);
          break;
        case "attempt_ended":
        case "trial_ended":
          starts.delete(record.trial);
          epochSeconds.delete(record.trial);
          break;
        case "run_started":
          parts++;
          break;
        case "run_continued":
        case "run_extended":
          parts++;
          starts.clear();
          epochSeconds.clear();
          break;
      }
    },
    secondsLeft(state, expected, now) {
      const running = runningOf(state);
      const spent = { seconds: 0, trials: 0 };
      let ended = 0;
      for (const trial of state.trials.values()) {
        if (!hasEnded(trial)) continue;
        ended++;
        if (trial.state === "failed") continue;
        spent.seconds += trial.seconds * trial.replicas;
        spent.trials++;
      }
      const open = expected === null ? null : Math.max(0, expected - ended - running.length);
      // Journals of old do not tell the room: what is busy now is the least that there is.
      const busy = running.reduce((sum, { replicas }) => sum + replicas, 0);
      return timeLeft({ open, spent, atOnce: atOnce ?? busy, running }, now);
    },
  };
}
