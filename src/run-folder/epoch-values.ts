/** The values of a trial by epoch. A run can have millions of them, so they lie flat: 24 bytes each. */

export interface EpochValue {
  epoch: number;
  value: number;
  /** That of the epoch, relative to the trial's folder; empty if none was written. */
  checkpoint: string;
  /** Number of the record that told of the epoch first. */
  at: number;
}

/** In the order of the epochs, however they come. */
export class EpochValues {
  readonly #epochs: number[] = [];
  readonly #values: number[] = [];
  readonly #told: number[] = [];
  /** Of all epochs, from the first one with a checkpoint on. */
  #checkpoints: string[] | null = null;

  get size(): number {
    return this.#epochs.length;
  }

  /** Adds an epoch, or replaces what is known of it; when it was told first stays. */
  set(epoch: number, value: number, checkpoint: string, record: number): void {
    const at = this.#placeOf(epoch);
    const known = this.#epochs[at] === epoch ? 1 : 0;
    if (checkpoint !== "") this.#checkpoints ??= this.#epochs.map(() => "");
    // splice() makes an array of what it takes out; the ordinary case is the end.
    if (at === this.#epochs.length) {
      this.#epochs.push(epoch);
      this.#values.push(value);
      this.#told.push(record);
      this.#checkpoints?.push(checkpoint);
    } else {
      this.#epochs.splice(at, known, epoch);
      this.#values.splice(at, known, value);
      if (known === 0) this.#told.splice(at, 0, record);
      this.#checkpoints?.splice(at, known, checkpoint);
    }
  }

  /** These checkpoints are there no more. */
  forgetCheckpoints(files: readonly string[]): void {
    this.#checkpoints = this.#checkpoints?.map((file) => (files.includes(file) ? "" : file)) ?? null;
  }

  *[Symbol.iterator](): Generator<EpochValue, void, undefined> {
    for (let at = 0; at < this.#epochs.length; at++) yield this.#entry(at);
  }

  /** The best value that is a number, the earliest of equal ones; null if there is none. */
  best(mode: "max" | "min"): Omit<EpochValue, "at"> | null {
    let best = -1;
    let bestValue = Number.NaN;
    for (const [at, value] of this.#values.entries()) {
      if (best >= 0 ? (mode === "max" ? value > bestValue : value < bestValue) : !Number.isNaN(value)) {
        best = at;
        bestValue = value;
      }
    }
    if (best < 0) return null;
    const { at: _at, ...known } = this.#entry(best);
    return known;
  }

  #entry(at: number): EpochValue {
    return {
      epoch: this.#epochs[at] ?? 0,
      value: this.#values[at] ?? Number.NaN,
      checkpoint: this.#checkpoints?.[at] ?? "",
      at: this.#told[at] ?? 0,
    };
  }

  /** Where the epoch is, or belongs. */
  #placeOf(epoch: number): number {
    const last = this.#epochs.at(-1);
    if (last === undefined || last < epoch) return this.#epochs.length;
    let [low, high] = [0, this.#epochs.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#epochs[middle] ?? epoch) < epoch) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
