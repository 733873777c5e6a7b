/** The values of a trial by epoch. A run can have millions of them, so they lie flat: 24 bytes each. */

export interface EpochValue {
  epoch: number;
  value: number;
  /** That of the epoch, relative to the trial's folder; empty if none was written. */
  checkpoint: string;
  /** Number of the record that told of the epoch first. */
  at: number;
}

/** Numbers of an epoch: itself, its value, the record that told of it first. */
const WIDTH = 3;

/** In the order of the epochs, however they come. */
export class EpochValues {
  /** One epoch behind the other. The first one is no push, which would make room for five more: most of many trials have few. */
  #numbers: number[] = [];
  /** Of all epochs, from the first one with a checkpoint on. */
  #checkpoints: string[] | null = null;

  get size(): number {
    return this.#numbers.length / WIDTH;
  }

  /** Adds an epoch, or replaces what is known of it; when it was told first stays. */
  set(epoch: number, value: number, checkpoint: string, record: number): void {
    const at = this.#placeOf(epoch);
    const known = this.#epoch(at) === epoch;
    if (checkpoint !== "") this.#checkpoints ??= Array.from({ length: this.size }, () => "");
    if (known) this.#numbers[at * WIDTH + 1] = value;
    else if (this.size === 0) this.#numbers = [epoch, value, record];
    // splice() makes an array of what it takes out; the ordinary case is the end.
    else if (at === this.size) this.#numbers.push(epoch, value, record);
    else this.#numbers.splice(at * WIDTH, 0, epoch, value, record);
    if (at === (this.#checkpoints?.length ?? 0)) this.#checkpoints?.push(checkpoint);
    else this.#checkpoints?.splice(at, known ? 1 : 0, checkpoint);
  }

  /** These checkpoints are there no more. */
  forgetCheckpoints(files: readonly string[]): void {
    this.#checkpoints = this.#checkpoints?.map((file) => (files.includes(file) ? "" : file)) ?? null;
  }

  *[Symbol.iterator](): Generator<EpochValue, void, undefined> {
    for (let at = 0; at < this.size; at++) yield this.#entry(at);
  }

  /** The best value that is a number, the earliest of equal ones; null if there is none. */
  best(mode: "max" | "min"): Omit<EpochValue, "at"> | null {
    let best = -1;
    let bestValue = Number.NaN;
    for (let at = 0; at < this.size; at++) {
      const value = this.#value(at);
      if (best >= 0 ? (mode === "max" ? value > bestValue : value < bestValue) : !Number.isNaN(value)) {
        best = at;
        bestValue = value;
      }
    }
    if (best < 0) return null;
    const { at: _at, ...known } = this.#entry(best);
    return known;
  }

  #epoch(at: number): number | undefined {
    return this.#numbers[at * WIDTH];
  }

  #value(at: number): number {
    return this.#numbers[at * WIDTH + 1] ?? Number.NaN;
  }

  #entry(at: number): EpochValue {
    return {
      epoch: this.#epoch(at) ?? 0,
      value: this.#value(at),
      checkpoint: this.#checkpoints?.[at] ?? "",
      at: this.#numbers[at * WIDTH + 2] ?? 0,
    };
  }

  /** Where the epoch is, or belongs. */
  #placeOf(epoch: number): number {
    const last = this.#epoch(this.size - 1);
    if (last === undefined || last < epoch) return this.size;
    let [low, high] = [0, this.size - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#epoch(middle) ?? epoch) < epoch) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
