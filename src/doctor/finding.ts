/** One thing that was looked at. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";

const execute = promisify(execFile);

export const findingSchema = z.object({
  /** What was looked at, for example "TensorFlow". */
  subject: z.string(),
  /** What was found. */
  found: z.string(),
  /** Null if all is well; else what to do. */
  remedy: z.string().nullable(),
  /** By what nodes of a cluster are compared: `found` without what always differs, as free space. */
  likeness: z.string(),
  /** What to do where nodes of a cluster differ in it; null where that is no harm. */
  differs: z.string().nullable(),
});
export type Finding = z.output<typeof findingSchema>;

/** A finding; without `likeness` nodes are compared by `found`. */
export function finding(
  subject: string,
  found: string,
  { remedy = null, likeness = found, differs = null }: Partial<Omit<Finding, "subject" | "found">> = {},
): Finding {
  return { subject, found, remedy, likeness, differs };
}

/** What a program prints, or null where it is missing or fails. Ends after 20 s. */
export async function output(command: string, args: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await execute(command, [...args], {
      timeout: 20_000,
      env: { ...process.env, RAY_USAGE_STATS_ENABLED: "0" },
    });
    return stdout.trim();
  } catch {
    return null;
  }
}
