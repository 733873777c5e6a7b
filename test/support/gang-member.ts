/** The end of a program that `runGang` starts. */

/**
 * Prints what a replica found, as JSON, and lets the process end once all replicas have printed theirs: until then
 * another one may still be fetching the last collective's result from it.
 */
export function endTogether(found: unknown): void {
  process.stdout.write(`${JSON.stringify(found)}\n`);
  process.stdin.resume();
}
