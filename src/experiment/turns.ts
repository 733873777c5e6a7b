/** Whose turn it is: items in their order, but one that has a place only on the node that has lost it lets others pass. */

export interface Turns<T> {
  /** The next item that has a place where it was not lost; if there is none, the next one of all; null if there is no more. */
  next(): Promise<T | null>;
  /** How many let others pass. */
  readonly aside: number;
  /** The node that the item is kept off, if it can be. */
  avoids(item: T): string | null;
  /** It can't do without that node. */
  attach(item: T): void;
}

export interface TurnsParts<T> {
  take(): Promise<T | null>;
  avoids(item: T): string | null;
  /** Whether the item could start now without this node. */
  hasPlaceBeside(item: T, nodeId: string): Promise<boolean>;
}

export function createTurns<T>(parts: TurnsParts<T>): Turns<T> {
  const aside: T[] = [];
  const attached = new Set<T>();
  const avoids = (item: T): string | null => (attached.has(item) ? null : parts.avoids(item));
  const hasPlace = async (item: T): Promise<boolean> => {
    const node = avoids(item);
    return node === null || (await parts.hasPlaceBeside(item, node));
  };
  return {
    async next() {
      for (const [index, item] of aside.entries()) {
        if (!(await hasPlace(item))) continue;
        aside.splice(index, 1);
        return item;
      }
      for (;;) {
        const item = await parts.take();
        if (item === null) return aside.shift() ?? null;
        if (await hasPlace(item)) return item;
        aside.push(item);
      }
    },
    get aside() {
      return aside.length;
    },
    avoids,
    attach: (item) => void attached.add(item),
  };
}
