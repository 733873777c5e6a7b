/** What trials print, as lines of the run. */
import type { RunEvent } from "../experiment/index.ts";

/**
 * Turns what the first replica of a trial prints to its standard output into events that are shown, one for each line, and hands on
 * all others as they are. A line may come in pieces.
 */
export function trialLines(): (event: RunEvent) => RunEvent[] {
  const begun = new Map<string, string>();
  return (event) => {
    if (event.type !== "log" || event.stream !== "stdout" || event.trial === null || (event.rank ?? 0) > 0)
      return [event];
    const { trial } = event;
    const lines = `${begun.get(trial) ?? ""}${event.text}`.split("\n");
    begun.set(trial, lines.pop() ?? "");
    return lines.map((line) => ({ ...event, stream: "distmis", text: `trial ${trial}: ${line}` }));
  };
}
