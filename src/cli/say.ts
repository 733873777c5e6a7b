/** Words beside a run's events, on standard error: by the reporter while there is one, as its lines would be torn otherwise. */
import type { Reporter } from "../index.ts";

let reporter: Reporter | null = null;

export function say(text: string): void {
  // Of a log one wants to know when; a person sees it.
  const when = process.stderr.isTTY ? "" : `${new Date().toISOString()} `;
  if (reporter === null) process.stderr.write(`${when}${text}\n`);
  else reporter.say(text);
}

/** @param by null when it has been closed */
export function sayBy(by: Reporter | null): void {
  reporter = by;
}
