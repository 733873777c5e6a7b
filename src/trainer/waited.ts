/** Share of an epoch spent waiting for data from which on the log says what to do. */
const MUCH = 0.05;
/** Seconds that are not worth a word: the threads start, the first batch is read. */
const LITTLE = 1;

/** A line of the trial's log: how long an epoch has waited for data, and what to do where that is much. */
export function waitedInWords(epoch: number, waited: number, seconds: number): string {
  const share = waited / seconds;
  const line = `epoch ${epoch}: waited ${waited.toFixed(3)} s of ${seconds.toFixed(3)} s for data (${(100 * share).toFixed(1)} %)`;
  if (share <= MUCH || waited <= LITTLE) return line;
  return `${line}: give the trainer more CPUs (resources.cpus_per_replica) or a larger data.cache_gigabytes`;
}
