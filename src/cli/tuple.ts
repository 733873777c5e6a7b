import { DistmisError } from "../errors/index.ts";

/**
 * Three numbers as a person writes them on a command line: "(120, 120, 152)", "120,120,152", or three words.
 * Errors: USAGE naming the option.
 */
export function parseTriple(option: string, words: readonly string[], example: string): [number, number, number] {
  const text = words.join(" ");
  const parts = text
    .replace(/^\s*[([]|[)\]]\s*$/g, "")
    .split(/[\s,]+/)
    .filter((part) => part !== "");
  const [x, y, z, ...more] = parts.map(Number);
  if (x === undefined || y === undefined || z === undefined || more.length > 0 || ![x, y, z].every(Number.isFinite)) {
    throw new DistmisError("USAGE", `--${option} ${text}: expected three numbers, for example --${option} ${example}`);
  }
  return [x, y, z];
}
