/** The trials that a person has chosen, which several views show. Kept beside the views, as they come and go. */
import { useEffect, useState } from "preact/hooks";

const chosen = new Map<string, Set<string>>();
const listeners = new Set<() => void>();

export interface Selection {
  has(trial: string): boolean;
  readonly trials: readonly string[];
  toggle(trial: string): void;
  replace(trials: readonly string[]): void;
}

/** Of one run. */
export function useSelection(run: string): Selection {
  const [, redraw] = useState(0);
  useEffect(() => {
    const update = (): void => redraw((count) => count + 1);
    listeners.add(update);
    return () => {
      listeners.delete(update);
    };
  }, []);
  const own = chosen.get(run) ?? new Set();
  const change = (trials: Set<string>): void => {
    chosen.set(run, trials);
    for (const listener of listeners) listener();
  };
  return {
    has: (trial) => own.has(trial),
    trials: [...own],
    toggle(trial) {
      const next = new Set(own);
      if (!next.delete(trial)) next.add(trial);
      change(next);
    },
    replace: (trials) => change(new Set(trials)),
  };
}
