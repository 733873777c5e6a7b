/** Items that wait before they are tried again. They hold nothing meanwhile. */
export interface Delays<T> {
  readonly size: number;
  add(item: T, seconds: number): void;
  /** Whether one is due so soon that a new gang would take longer to start. */
  isOneDue(): boolean;
  /** Ends all waits at once. */
  flush(): void;
}

/** What a gang takes to start, at least. */
const SOON_MS = 2000;

/** @param due takes an item whose time has come */
export function createDelays<T>(due: (item: T) => void): Delays<T> {
  const waits = new Map<T, { timer: NodeJS.Timeout; at: number }>();
  const over = (item: T): void => {
    clearTimeout(waits.get(item)?.timer);
    waits.delete(item);
    due(item);
  };
  return {
    get size() {
      return waits.size;
    },
    add(item, seconds) {
      const timer = setTimeout(over, seconds * 1000, item);
      waits.set(item, { timer, at: performance.now() + seconds * 1000 });
    },
    isOneDue: () => [...waits.values()].some(({ at }) => at - performance.now() <= SOON_MS),
    flush() {
      for (const item of [...waits.keys()]) over(item);
    },
  };
}
