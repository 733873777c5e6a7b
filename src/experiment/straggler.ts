/** Which replica of a trial holds the others up. */

/** A replica is slow in an epoch if it worked longer than this times the median of the others. */
const FACTOR = 1.5;
/** So many epochs in a row: a single one may have met something else on its node. */
const EPOCHS = 3;

export interface Straggler {
  rank: number;
  /** Its work time over the median of the others', in the last epoch. */
  times: number;
  /** The last of the epochs in which it was slow, and how many there were in a row. */
  epoch: number;
  epochs: number;
}

/**
 * Takes the work time of each replica and epoch, in any order of the ranks, and names each straggler once, when the last
 * replica has told its epoch. What was not measured (0) is not compared.
 */
export function createStragglerWatch(replicas: number): (rank: number, epoch: number, seconds: number) => Straggler[] {
  const epochs = new Map<number, Map<number, number>>();
  const slowInARow = new Map<number, number>();
  const named = new Set<number>();
  return (rank, epoch, seconds) => {
    if (replicas < 2 || !(seconds > 0)) return [];
    const times = epochs.get(epoch) ?? new Map<number, number>();
    epochs.set(epoch, times);
    times.set(rank, seconds);
    if (times.size < replicas) return [];
    epochs.delete(epoch);
    return [...times].flatMap(([own, time]) => {
      const others = [...times].flatMap(([other, value]) => (other === own ? [] : [value]));
      const ratio = time / median(others);
      const row = ratio > FACTOR ? (slowInARow.get(own) ?? 0) + 1 : 0;
      slowInARow.set(own, row);
      if (row < EPOCHS || named.has(own)) return [];
      named.add(own);
      return [{ rank: own, times: ratio, epoch, epochs: EPOCHS }];
    });
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = 0, high = 0] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}
