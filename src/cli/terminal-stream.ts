/** Standard error as the live view writes to it. */
import { createWriteStream } from "node:fs";
import type { ReportStream } from "../index.ts";

export interface TerminalStream extends ReportStream {
  /** Resolves when all was written, or after a while in which the terminal has taken nothing. */
  flush(): Promise<void>;
}

const STDERR = 2;
const FLUSH_MILLISECONDS = 2_000;

/**
 * Node itself writes to a terminal synchronously. One that takes nothing more (Ctrl-S, a connection that hangs) would hold up the run with
 * all its trials, so a thread of the pool writes here.
 */
export function terminalStream(): TerminalStream {
  const file = createWriteStream("", { fd: STDERR, autoClose: false });
  // The terminal has gone; signals.ts hears of that by itself.
  file.on("error", () => {});
  return {
    isTTY: true,
    get columns() {
      return process.stderr.columns;
    },
    get rows() {
      return process.stderr.rows;
    },
    get writableNeedDrain() {
      return file.writableNeedDrain;
    },
    write: (text) => file.write(text),
    flush() {
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, FLUSH_MILLISECONDS);
        file.write("", () => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}
