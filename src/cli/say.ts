/** Words beside a run's events, on standard error: by the reporter while there is one, as its lines would be torn otherwise. */
import type { Reporter } from "../index.ts";

let reporter: Reporter | null = null;

export function say(text: string): void {
  if (reporter === null) process.stderr.write(`${text}\n`);
  else reporter.say(text);
}

/** @param by null when it has been closed */
export function sayBy(by: Reporter | null): void {
  reporter = by;
}
