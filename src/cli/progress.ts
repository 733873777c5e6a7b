import { SingleBar } from "cli-progress";

export interface ProgressLine {
  /** `done` may have a fraction: the part of what is being worked on. */
  update(done: number, total: number): void;
  stop(): void;
}

/** How many lines are printed when the output is not a terminal. */
const PLAIN_STEPS = 4;

/** A bar with the time remaining on a terminal; otherwise a few plain lines. Writes to stderr. */
export function progressLine(what: string, unit: string): ProgressLine {
  const stream = process.stderr;
  let bar: SingleBar | null = null;
  let printed = 0;
  return {
    update(done, total) {
      if (!stream.isTTY) {
        const step = Math.floor((done * PLAIN_STEPS) / total);
        if (step > printed) stream.write(`${what}: ${done} of ${total} ${unit}\n`);
        printed = step;
        return;
      }
      if (bar === null) {
        bar = new SingleBar({
          format: `${what} [{bar}] {whole}/{total} ${unit}, {eta_formatted} left`,
          formatTime: remaining,
          hideCursor: true,
          stream,
        });
        bar.start(total, done, { whole: Math.floor(done) });
      }
      bar.update(done, { whole: Math.floor(done) });
    },
    stop() {
      bar?.stop();
      bar = null;
    },
  };
}

/** In words; the library gives no number as long as it can't tell. */
function remaining(seconds: number): string {
  if (!Number.isFinite(seconds)) return "some time";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
