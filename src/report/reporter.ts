/** A run's events for people: a live view on a terminal, dated lines elsewhere. */
import type { RunEvent } from "../experiment/index.ts";
import { createLiveView } from "./live.ts";
import { plainLine } from "./plain.ts";
import { trialLines } from "./trial-lines.ts";

export interface Reporter {
  event(event: RunEvent): void;
  /** Writes a line that is no event: on a terminal nothing else may. */
  say(text: string): void;
  /** Takes the live view away and stops its timer. */
  close(): void;
}

/** Where a reporter writes: process.stdout, process.stderr, or a stand-in. */
export interface ReportStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  /** It is behind, and takes no more than it must. */
  readonly writableNeedDrain?: boolean;
}

export interface ReporterOptions {
  /** Also shows what the trials print, as with `train.debug`: each step. */
  trialOutput?: boolean;
}

/** A reporter that fits the stream. */
export function createReporter(stream: ReportStream, { trialOutput = false }: ReporterOptions = {}): Reporter {
  const reporter = reporterFor(stream);
  if (!trialOutput) return reporter;
  const shown = trialLines();
  return {
    event: (event) => {
      for (const each of shown(event)) reporter.event(each);
    },
    say: reporter.say,
    close: reporter.close,
  };
}

function reporterFor(stream: ReportStream): Reporter {
  // A dumb terminal (Emacs, some CI systems) can't move its cursor.
  if (stream.isTTY === true && process.env.TERM !== "dumb") return createLiveView(stream);
  return {
    event(event) {
      const line = plainLine(event);
      if (line !== null) stream.write(`${event.time} ${line}\n`);
    },
    say(text) {
      stream.write(`${new Date().toISOString()} ${text}\n`);
    },
    close() {},
  };
}
