/** The attempts of a run, for its timeline: when each was on which GPU, and how it ended. */
import type { AttemptView } from "../page-data/index.ts";
import type { JournalRecord } from "../run-folder/index.ts";

export interface Attempts {
  /** Returns the places in `all` of what has changed. */
  add(record: JournalRecord): number[];
  readonly all: readonly AttemptView[];
}

export function createAttempts(): Attempts {
  const all: AttemptView[] = [];
  const running = new Map<string, number>();
  let lastTime = 0;

  const end = (trial: string, time: number, outcome: AttemptView["outcome"], error: string | null): number[] => {
    const at = running.get(trial);
    const attempt = at === undefined ? undefined : all[at];
    if (at === undefined || attempt === undefined) return [];
    running.delete(trial);
    all[at] = { ...attempt, end: time, outcome, error };
    return [at];
  };

  return {
    all,
    add(record) {
      const time = Date.parse(record.time);
      const before = lastTime;
      lastTime = time;
      switch (record.type) {
        case "run_continued":
        case "run_extended":
          // Whoever ran them is gone, and was heard of last before this record.
          return [...running.keys()].flatMap((trial) =>
            end(trial, before, "interrupted", "the orchestrator ended before it"),
          );
        case "attempt_started": {
          const { trial, attempt, nodes, gpus, workers } = record;
          const places = workers === undefined ? guessedPlaces(nodes, gpus) : placesOf(workers);
          running.set(trial, all.length);
          all.push({ trial, attempt, places, start: time, end: null, outcome: "running", error: null });
          return [all.length - 1];
        }
        case "attempt_ended":
          return end(record.trial, time, record.cause, record.error);
        case "trial_ended":
          return end(record.trial, time, record.state, record.error);
        default:
          return [];
      }
    },
  };
}

/** A GPU, or a replica without one, is a place. */
function placesOf(workers: readonly { node: string; gpus: readonly string[] }[]): AttemptView["places"] {
  return workers.flatMap(({ node, gpus }) => (gpus.length === 0 ? [null] : gpus).map((gpu) => ({ node, gpu })));
}

/** Older journals have the GPUs of all nodes one after the other: they are taken to be spread evenly. */
function guessedPlaces(nodes: readonly string[], gpus: readonly string[]): AttemptView["places"] {
  if (gpus.length === 0) return nodes.map((node) => ({ node, gpu: null }));
  const each = gpus.length / Math.max(1, nodes.length);
  return gpus.map((gpu, index) => ({ node: nodes[Math.floor(index / each)] ?? "", gpu }));
}
