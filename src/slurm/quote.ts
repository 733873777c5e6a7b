/** Words for bash and for sbatch, whatever is in them. What they mean by quotes is not the same. */
import { DistmisError } from "../errors/index.ts";

const PLAIN = /^[A-Za-z0-9_./:=@%+,-]+$/;

/** One word for bash. */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** One word on an #SBATCH line: sbatch splits at spaces that are not in quotes, ends at a #, and takes a backslash off everywhere. */
export function directiveWord(text: string): string {
  return PLAIN.test(text) ? text : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}

/**
 * A folder as the beginning of a file name pattern.
 * @throws DistmisError USAGE for what sbatch can't be told
 */
export function patternOf(dir: string): string {
  // A backslash turns all of the pattern off, and lines end.
  if (/[\\\p{Cc}]/u.test(dir))
    throw new DistmisError(
      "USAGE",
      `${JSON.stringify(dir)}: SLURM writes no log below a folder with a backslash or a line break in its name; name another with --run-dir`,
    );
  return dir.replaceAll("%", "%%");
}
