/** Random numbers of one volume in one epoch. */
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";

export interface Random {
  /** True with this probability; 0 is never, 1 is always. */
  chance(probability: number): boolean;
  /** Uniform between two numbers. */
  uniform(low: number, high: number): number;
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number;
  /** Adds normal numbers of mean 0 and this deviation to all values. */
  addNormal(values: Float32Array, deviation: number): void;
}

/** MurmurHash3's finaliser: each bit of the result hangs on each bit of the input. */
function mixed(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

/** The stream that follows from these three alone, whatever was drawn for other volumes before. */
export function volumeRandom(seed: number, epoch: number, index: number): Random {
  // Each word depends on all three; xoroshiro's state may be anything but all zeros.
  const state: number[] = [];
  let word = 0x9e3779b9;
  for (let round = 0; round < 4; round++) {
    for (const part of [seed, epoch, index]) word = mixed(Math.imul(word, 0x9e3779b1) + part + round);
    state.push(word);
  }
  if (!state.some(Boolean)) state[0] = 1;
  const generator = xoroshiro128plusFromState(state);
  /** [0, 1) in steps of 2^-32. */
  const next = (): number => (generator.next() >>> 0) / 0x1_0000_0000;
  return {
    chance: (probability) => next() < probability,
    uniform: (low, high) => low + (high - low) * next(),
    below: (bound) => Math.floor(next() * bound),
    addNormal(values, deviation) {
      // Box and Muller: two normal numbers of two uniform ones; with an odd number of values the last one is not used.
      for (let i = 0; i < values.length; i += 2) {
        // 1 - next() lies in (0, 1]: its logarithm is finite.
        const radius = deviation * Math.sqrt(-2 * Math.log(1 - next()));
        const angle = 2 * Math.PI * next();
        values[i] = (values[i] as number) + radius * Math.cos(angle);
        if (i + 1 < values.length) values[i + 1] = (values[i + 1] as number) + radius * Math.sin(angle);
      }
    },
  };
}
