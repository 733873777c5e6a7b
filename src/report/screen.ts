/**
 * A few lines at the bottom of a terminal that are kept up to date; what is said scrolls by above them.
 *
 * Only what has changed is written, each time in one piece. No state of the terminal outlives such a piece (the cursor
 * stays visible, there is no alternate screen), so that there is nothing to restore however the process ends.
 */
import { widthOf } from "./format.ts";
import type { ReportStream } from "./reporter.ts";

const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** What is said while the terminal takes nothing: the last lines are kept. */
const MOST_HELD = 1_000;

/** Terminals that know it show all of the piece at once; the others leave it out. */
const PIECE = ["\x1b[?2026h", "\x1b[?2026l"] as const;
/** A line that turns out wider than was reckoned must not wrap: the count of rows would be wrong. */
const NO_WRAP = ["\x1b[?7l", "\x1b[?7h"] as const;

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Shows these lines instead of the last ones: at most `rows` - 1, each narrower than `columns`. */
  draw(lines: readonly string[]): void;
  /** Writes lines above, for good. */
  say(text: string): void;
  /** Somebody else has written: what was drawn is left where it is. */
  leave(): void;
  /** Takes the lines away. */
  erase(): void;
}

export function createScreen(stream: ReportStream): Screen {
  let shown: readonly string[] = [];
  /** The last ones. */
  let said: string[] = [];
  /** Those that the terminal has yet to take. */
  let held: string[] = [];
  let size = { columns: 0, rows: 0 };
  // A terminal that nobody has given a size says 0.
  const columns = (): number => stream.columns || DEFAULT_COLUMNS;
  const rows = (): number => stream.rows || DEFAULT_ROWS;

  /** From below the last line to the first one, and all from there on cleared. */
  const erasing = (): string => (shown.length === 0 ? "" : `\x1b[${shown.length}A\r\x1b[J`);
  const whole = (lines: readonly string[]): string =>
    lines.length === 0 ? "" : NO_WRAP[0] + lines.map((line) => `${line}\n`).join("") + NO_WRAP[1];
  /** Terminals differ in where the lines are after a change of size, and in what comes back from above: all is written anew. */
  const anew = (lines: readonly string[]): string => {
    const above: string[] = [];
    let room = rows() - 1 - lines.length;
    for (const line of said.toReversed()) {
      room -= Math.max(1, Math.ceil(widthOf(line) / columns()));
      if (room < 0) break;
      above.unshift(`${line}\n`);
    }
    return `\x1b[H\x1b[J${above.join("")}${whole(lines)}`;
  };
  const isResized = (): boolean => shown.length > 0 && (size.columns !== columns() || size.rows !== rows());
  const show = (lines: readonly string[], text: string): void => {
    if (text !== "") stream.write(PIECE[0] + text + PIECE[1]);
    size = { columns: columns(), rows: rows() };
    shown = lines;
  };

  const release = (): void => {
    if (held.length === 0) return;
    const text = held.map((line) => `${line}\n`).join("");
    said = [...said, ...held].slice(-rows());
    held = [];
    // As there may be no room for them any more, the lines wait for the next drawing.
    if (isResized()) show([], anew([]));
    else show(shown, `${erasing()}${text}${whole(shown)}`);
  };

  return {
    get columns() {
      return columns();
    },
    get rows() {
      return rows();
    },
    draw(lines) {
      if (stream.writableNeedDrain === true) return;
      release();
      if (isResized()) show(lines, anew(lines));
      else show(lines, shown.length === 0 ? whole(lines) : difference(shown, lines));
    },
    say(text) {
      held.push(text);
      if (held.length > MOST_HELD) held.shift();
      if (stream.writableNeedDrain !== true) release();
    },
    leave() {
      shown = [];
    },
    erase() {
      release();
      show([], isResized() ? anew([]) : erasing());
    },
  };
}

/** What turns `before` into `after`; the cursor is below the last line, before and after. */
function difference(before: readonly string[], after: readonly string[]): string {
  let text = "";
  let at = before.length;
  const moveTo = (row: number): string => {
    const by = row - at;
    at = row;
    return by === 0 ? "" : `\x1b[${Math.abs(by)}${by < 0 ? "A" : "B"}`;
  };
  for (const [row, line] of after.slice(0, before.length).entries()) {
    if (line === before[row]) continue;
    text += `${moveTo(row)}\r${changed(before[row] ?? "", line)}`;
  }
  if (after.length < before.length) text += `${moveTo(after.length)}\r\x1b[J`;
  else {
    const back = moveTo(before.length);
    const more = after.slice(before.length).map((line) => `${line}\n`);
    text += text === "" && more.length === 0 ? "" : `${back}\r${more.join("")}`;
  }
  return text === "" ? "" : NO_WRAP[0] + text + NO_WRAP[1];
}

/** Characters that are one column wide in every terminal. */
const PLAIN = /^[ -~]*$/;

/** What turns the line `before` into `after`, from its first column on. */
function changed(before: string, after: string): string {
  let same = 0;
  while (same < after.length && after[same] === before[same]) same++;
  const prefix = after.slice(0, same);
  if (!PLAIN.test(prefix)) return `${after}\x1b[K`;
  let end = 0;
  if (before.length === after.length && PLAIN.test(before + after))
    while (after[after.length - 1 - end] === before[before.length - 1 - end]) end++;
  const skip = same === 0 ? "" : `\x1b[${same}C`;
  return `${skip}${after.slice(same, after.length - end)}${end === 0 ? "\x1b[K" : ""}`;
}
