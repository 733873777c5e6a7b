/** What trials have reported, by epoch: every metric, as columns, since a run may have a million reports. */
import type { CurveView } from "../page-data/index.ts";
import type { JournalRecord } from "../run-folder/index.ts";

type EpochRecord = Extract<JournalRecord, { type: "epoch" }>;

export interface Curves {
  add(record: EpochRecord): void;
  /** Null if the trial has reported nothing. */
  of(trial: string): CurveView | null;
  /** In the order in which they were reported first. */
  metrics(): string[];
}

interface Columns {
  epochs: number[];
  metrics: Map<string, number[]>;
}

export function createCurves(): Curves {
  const trials = new Map<string, Columns>();
  const names = new Set<string>();

  return {
    add({ trial, epoch, metrics }) {
      const columns = trials.get(trial) ?? { epochs: [], metrics: new Map() };
      trials.set(trial, columns);
      const at = placeOf(columns.epochs, epoch);
      const repeated = columns.epochs[at] === epoch ? 1 : 0;
      columns.epochs.splice(at, repeated, epoch);
      for (const name of Object.keys(metrics)) {
        names.add(name);
        // A metric that comes later has no value in the epochs before.
        if (!columns.metrics.has(name))
          columns.metrics.set(name, columns.epochs.map(() => Number.NaN).slice(repeated ? 0 : 1));
      }
      for (const [name, values] of columns.metrics) values.splice(at, repeated, metrics[name] ?? Number.NaN);
    },
    of(trial) {
      const columns = trials.get(trial);
      if (columns === undefined) return null;
      const metrics = [...columns.metrics].map(([name, values]) => [name, values.map(finite)] as const);
      return { trial, epochs: columns.epochs, metrics: Object.fromEntries(metrics) };
    },
    metrics: () => [...names],
  };
}

/** Where the epoch is or belongs; attempts that go on repeat some, near the end. */
function placeOf(epochs: readonly number[], epoch: number): number {
  let at = epochs.length;
  while (at > 0 && (epochs[at - 1] ?? 0) >= epoch) at--;
  return at;
}

/** JSON has no NaN. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
