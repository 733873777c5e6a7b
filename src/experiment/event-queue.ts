/** From one producer to one consumer, with back-pressure. */
import { type Deferred, deferred } from "../async/index.ts";

/** Enough for a burst of all lanes; a consumer that is further behind slows the run down instead of filling memory. */
const HIGH_WATER = 1_024;

export interface EventQueue<T> extends AsyncIterable<T> {
  /** Resolves when there is room for more. While nobody iterates, the oldest events are dropped instead. */
  push(item: T): Promise<void>;
  /** No more will come; with an error, the iteration throws it after the last item. */
  end(error?: unknown): void;
}

/** An event queue that can be iterated once. */
export function createEventQueue<T>(): EventQueue<T> {
  let items: T[] = [];
  let consumer: "none" | "reading" | "gone" = "none";
  let ending: { error: unknown } | null = null;
  let available: Deferred<void> | null = null;
  let room: Deferred<void> | null = null;

  const wake = (which: Deferred<void> | null): null => {
    which?.resolve();
    return null;
  };

  async function* iterate(): AsyncGenerator<T, void, undefined> {
    try {
      while (true) {
        const batch = items;
        items = [];
        room = wake(room);
        yield* batch;
        if (items.length > 0) continue;
        if (ending !== null) break;
        available = deferred();
        await available.promise;
      }
      if (ending.error !== undefined) throw ending.error;
    } finally {
      consumer = "gone";
      items = [];
      room = wake(room);
    }
  }

  return {
    async push(item) {
      if (consumer === "gone" || ending !== null) return;
      items.push(item);
      available = wake(available);
      if (items.length < HIGH_WATER) return;
      if (consumer === "none") {
        items.shift();
        return;
      }
      room ??= deferred();
      await room.promise;
    },
    end(error) {
      ending ??= { error };
      available = wake(available);
    },
    [Symbol.asyncIterator]() {
      if (consumer !== "none") throw new Error("the events of a run can be iterated once");
      consumer = "reading";
      return iterate();
    },
  };
}
