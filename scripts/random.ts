import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";

export interface Random {
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
}

/** The numbers of one case: they hang on seed and case alone, so that a case can be repeated by itself. */
export function caseRandom(seed: number, index: number): Random {
  const generator = xoroshiro128plusFromState([seed | 0, index | 0, 0x9e3779b9 | 0, 0x85ebca6b | 0]);
  // The first numbers of neighbouring states are alike.
  for (let round = 0; round < 20; round++) generator.next();
  const below = (bound: number): number => Math.floor(((generator.next() >>> 0) / 2 ** 32) * bound);
  return {
    below,
    chance: (probability) => below(2 ** 32) < probability * 2 ** 32,
    pick: (choices) => choices[below(choices.length)] ?? choices[0],
  };
}
