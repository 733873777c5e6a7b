import { DistmisError } from "../errors/index.ts";

type Triple = [number, number, number];

/**
 * Three numbers as a person writes them on a command line: "(120, 120, 152)", "120,120,152", or three words.
 * Errors: USAGE naming the option.
 */
export function parseTriple(option: string, words: readonly string[], example: string): Triple {
  const triple = triplet(numbersOf(words));
  if (triple !== null) return triple;
  throw new DistmisError(
    "USAGE",
    `--${option} ${words.join(" ")}: expected three numbers, for example --${option} ${example}`,
  );
}

/** As {@link parseTriple}, or the word `auto`. */
export function parseTripleOrAuto(option: string, words: readonly string[], example: string): Triple | "auto" {
  return words.join(" ").trim() === "auto" ? "auto" : parseTriple(option, words, `${example}, or auto`);
}

/** As {@link parseTripleOrAuto}, or one number that stands for all three. */
export function parseEdges(option: string, words: readonly string[], example: string): Triple | "auto" {
  const [edge, ...more] = numbersOf(words);
  if (edge !== undefined && more.length === 0 && Number.isFinite(edge)) return [edge, edge, edge];
  return parseTripleOrAuto(option, words, `${example}, or one number`);
}

function numbersOf(words: readonly string[]): number[] {
  return words
    .join(" ")
    .replace(/^\s*[([]|[)\]]\s*$/g, "")
    .split(/[\s,]+/)
    .filter((part) => part !== "")
    .map(Number);
}

function triplet([x, y, z, ...more]: readonly number[]): Triple | null {
  if (x === undefined || y === undefined || z === undefined || more.length > 0) return null;
  return [x, y, z].every(Number.isFinite) ? [x, y, z] : null;
}
