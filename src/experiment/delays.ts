/** Items that wait before they are tried again. They hold nothing meanwhile. */
export interface Delays<T> {
  readonly size: number;
  add(item: T, seconds: number): void;
  /** Ends all waits at once. */
  flush(): void;
}

/** @param due takes an item whose time has come */
export function createDelays<T>(due: (item: T) => void): Delays<T> {
  const timers = new Map<T, NodeJS.Timeout>();
  const over = (item: T): void => {
    clearTimeout(timers.get(item));
    timers.delete(item);
    due(item);
  };
  return {
    get size() {
      return timers.size;
    },
    add: (item, seconds) => void timers.set(item, setTimeout(over, seconds * 1000, item)),
    flush() {
      for (const item of [...timers.keys()]) over(item);
    },
  };
}
