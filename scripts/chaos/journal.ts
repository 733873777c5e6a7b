/** What a run's journal tells, read by itself: what checks the program shares no code with it. */
import fs from "node:fs";

interface Entry {
  type: string;
  trial?: string;
  epoch?: number;
  state?: string;
}

export interface Tally {
  /** How often each trial's end was recorded. */
  ends: Map<string, number>;
  completed: Set<string>;
  /** How often each epoch of a trial was recorded: "0001 3". */
  epochs: Map<string, number>;
  records: number;
}

/** Counts the whole records of a journal, also while it grows; one that does not exist yet is empty. */
export function tally(file: string): Tally {
  const ends = new Map<string, number>();
  const completed = new Set<string>();
  const epochs = new Map<string, number>();
  const add = (counts: Map<string, number>, key: string): unknown => counts.set(key, (counts.get(key) ?? 0) + 1);
  const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
  for (const line of lines) {
    const { type, trial = "", epoch, state }: Entry = JSON.parse(line);
    if (type === "trial_ended") add(ends, trial);
    if (type === "trial_ended" && state === "completed") completed.add(trial);
    if (type === "epoch") add(epochs, `${trial} ${epoch}`);
  }
  return { ends, completed, epochs, records: lines.length };
}

/** How many of these were counted more than once, each as often as it was superfluous. */
export function superfluous(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count - 1, 0);
}
