/** The trials that are to be run: those that wait, then new ones of the searcher. */
import { deferred } from "../async/index.ts";
import { hasEnded, type RunFolder, type TrialState, trialId } from "../run-folder/index.ts";
import type { Searcher } from "../search/index.ts";
import type { Limits } from "./limits.ts";

export interface TrialSource {
  /** How many trials are to be run; Infinity if that is open. */
  remaining(): number;
  /** The next trial, those that came back first; null if there is none. May wait for results. */
  take(): Promise<TrialState | null>;
  /** A trial that was not begun, or is to be run again. */
  putBack(trial: TrialState): void;
  /** No more trials are made: also not one that the searcher is still being asked for. */
  close(): void;
}

/** @param searcher knows the trials of the folder */
export function createTrialSource(folder: RunFolder, searcher: Searcher, limits: Limits): TrialSource {
  const { trials } = folder.state;
  /** Known trials that are to be run: unfinished ones of before, and those that came back. */
  const waiting = [...trials.values()].filter((trial) => !hasEnded(trial));
  let lastNumber = [...trials.keys()].reduce((last, id) => Math.max(last, Number(id)), 0);
  let asked: Promise<TrialState | null> | null = null;
  /** Of the wait for the searcher. */
  let cameBack = deferred<undefined>();
  let closed = false;
  const open = (): boolean => !closed && limits.room() > 0;

  async function ask(): Promise<TrialState | null> {
    if (!open()) return null;
    const id = trialId(lastNumber + 1);
    const parameters = await searcher.ask(id);
    if (parameters === null || !open()) return null;
    lastNumber++;
    folder.record({ type: "trial_created", trial: id, parameters });
    return trials.get(id) ?? null;
  }

  return {
    remaining: () => waiting.length + Math.min(searcher.remaining(), limits.room()),
    async take() {
      for (;;) {
        const again = waiting.shift();
        if (again !== undefined) return again;
        asked ??= ask();
        // The searcher may wait for the result of one that comes back. A new promise each time: a race leaves something in one that stays.
        cameBack = deferred();
        const next = await Promise.race([asked, cameBack.promise]);
        if (next === undefined) continue;
        asked = null;
        return next;
      }
    },
    putBack(trial) {
      waiting.push(trial);
      waiting.sort((a, b) => Number(a.id) - Number(b.id));
      cameBack.resolve(undefined);
    },
    close() {
      closed = true;
    },
  };
}
