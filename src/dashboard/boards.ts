/** The runs that are shown, looked at again and again. */
import { setTimeout as delay } from "node:timers/promises";
import type { ChangeMessage } from "../page-data/index.ts";
import { openBoard, type RunBoard } from "./run-board.ts";

/** A network file system tells no one of what other hosts write. */
const LOOK_MILLISECONDS = 500;

export interface Boards {
  /** By their ids. */
  readonly runs: ReadonlyMap<string, RunBoard>;
  /** What has changed since `seen`, which is brought up to date; null if nothing. */
  news(seen: Map<string, number>): ChangeMessage | null;
  /** Resolves at the next change, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads the runs, and goes on to follow them.
 * @throws DistmisError FILE_UNUSABLE if one of the folders has none
 */
export async function followBoards(dirs: readonly string[]): Promise<Boards> {
  const runs = new Map<string, RunBoard>();
  for (const [index, dir] of dirs.entries()) runs.set(String(index), await openBoard(dir, String(index)));
  const closing = new AbortController();
  const waiting = new Set<() => void>();

  const look = async (): Promise<void> => {
    let news = false;
    for (const board of runs.values()) news = (await board.look()) || news;
    if (news) for (const tell of waiting) tell();
  };
  const follow = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await delay(LOOK_MILLISECONDS, undefined, { signal: closing.signal }).catch(() => {});
      await look();
    }
  };
  await look();
  const following = follow();

  return {
    runs,
    news(seen) {
      const changed = [...runs].filter(([id, board]) => board.version !== seen.get(id));
      if (changed.length === 0) return null;
      return {
        runs: changed.map(([id, board]) => {
          const change = board.changes(seen.get(id) ?? -1);
          seen.set(id, board.version);
          return change;
        }),
      };
    },
    changed(signal) {
      return new Promise((resolve) => {
        const tell = (): void => {
          waiting.delete(tell);
          signal.removeEventListener("abort", tell);
          resolve();
        };
        if (signal.aborted) return resolve();
        waiting.add(tell);
        signal.addEventListener("abort", tell, { once: true });
      });
    },
    async close() {
      closing.abort();
      await following;
    },
  };
}
