/** The attempts of a run by the place where they were. */
import type { AttemptView } from "../page-data/index.ts";

/** A GPU of a node, or a node of whose GPUs none was asked for. */
export interface Lane {
  node: string;
  gpu: string | null;
  /** In the order of their starts, each with the row that it is drawn in: a GPU may be shared. */
  bars: { attempt: AttemptView; row: number }[];
  rows: number;
  /** Share of the time from the run's start to its last news in which it was busy. */
  utilisation: number;
  /** The longest time without an attempt, from its first one on, in seconds. */
  longestGap: number;
  failures: number;
  retries: number;
  /** What runs there now. */
  running: AttemptView[];
}

const AT_FAULT: readonly string[] = ["failed", "lost", "stalled"];

/** @param begin and end of the run, in milliseconds; what runs has no end yet */
export function lanesOf(attempts: readonly AttemptView[], begin: number, end: number): Lane[] {
  const byPlace = new Map<string, { node: string; gpu: string | null; own: AttemptView[] }>();
  for (const attempt of attempts) {
    for (const { node, gpu } of attempt.places) {
      const key = `${node}\n${gpu ?? ""}`;
      const place = byPlace.get(key) ?? { node, gpu, own: [] };
      // Replicas of one attempt may share a place.
      if (place.own.at(-1) !== attempt) place.own.push(attempt);
      byPlace.set(key, place);
    }
  }
  const natural = new Intl.Collator("en", { numeric: true }).compare;
  return [...byPlace.values()]
    .sort((a, b) => natural(a.node, b.node) || natural(a.gpu ?? "", b.gpu ?? ""))
    .map(({ node, gpu, own }) => {
      own.sort((a, b) => a.start - b.start);
      /** When each row is free. */
      const free: number[] = [];
      let busy = 0;
      let covered = own[0]?.start ?? begin;
      let longestGap = 0;
      const bars = own.map((attempt) => {
        const until = attempt.end ?? end;
        const found = free.findIndex((time) => time <= attempt.start);
        const row = found < 0 ? free.length : found;
        free[row] = until;
        longestGap = Math.max(longestGap, attempt.start - covered);
        busy += Math.max(0, until - Math.max(covered, attempt.start));
        covered = Math.max(covered, until);
        return { attempt, row };
      });
      return {
        node,
        gpu,
        bars,
        rows: Math.max(1, free.length),
        utilisation: end > begin ? Math.min(1, busy / (end - begin)) : 0,
        longestGap: longestGap / 1000,
        failures: own.filter(({ outcome }) => AT_FAULT.includes(outcome)).length,
        retries: own.filter(({ attempt }) => attempt > 1).length,
        running: own.filter(({ outcome }) => outcome === "running"),
      };
    });
}
