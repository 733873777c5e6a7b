/** A command in a real terminal, and what a person would see there. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import path from "node:path";
import xterm from "@xterm/headless";
import { repositoryRoot, testPython } from "./python.ts";

export interface Size {
  columns: number;
  rows: number;
}

export interface TerminalCommand {
  /** The lines of the screen, without the empty ones at its end. */
  screen(): Promise<string[]>;
  /** The same with what has scrolled out of it. */
  all(): Promise<string[]>;
  /** All that was written, as it was. */
  written(): string;
  resize(size: Size): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** The terminal takes nothing more, as after Ctrl-S or on a connection that hangs. */
  hold(): void;
  goOn(): void;
  /** Kills the command, and resolves when it is gone. */
  kill(): Promise<void>;
  /** Whether the cursor can be seen, lines wrap and the ordinary screen is shown. */
  isWhole(): Promise<boolean>;
  exit: Promise<number | null>;
}

/** @param command program and arguments */
export function startInTerminal(
  command: readonly string[],
  { columns, rows, cwd, env = {} }: Size & { cwd: string; env?: Record<string, string> },
): TerminalCommand {
  const terminal = new xterm.Terminal({ cols: columns, rows, scrollback: 10_000, allowProposedApi: true });
  const script = path.join(repositoryRoot, "test/support/in_terminal.py");
  const child = spawn(testPython, [script, String(columns), String(rows), ...command], {
    cwd,
    env: { ...process.env, TERM: "xterm-256color", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let written = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written += text;
    terminal.write(text);
  });
  child.stdin.on("error", () => {});
  const exit = once(child, "close").then(([code]): number | null => code);
  // What was written is parsed in a turn of its own.
  const parsed = (): Promise<void> => new Promise((resolve) => terminal.write("", resolve));
  const lines = (from: number): string[] => {
    const buffer = terminal.buffer.active;
    const found: string[] = [];
    for (let row = from; row < buffer.length; row++) found.push(buffer.getLine(row)?.translateToString(true) ?? "");
    return found.slice(0, found.findLastIndex((line) => line !== "") + 1);
  };
  return {
    async screen() {
      await parsed();
      return lines(terminal.buffer.active.baseY);
    },
    async all() {
      await parsed();
      return lines(0);
    },
    written: () => written,
    async resize(size) {
      await parsed();
      terminal.resize(size.columns, size.rows);
      child.stdin.write(`resize ${size.columns} ${size.rows}\n`);
    },
    signal: (name) => void child.stdin.write(`signal ${constants.signals[name]}\n`),
    hold: () => void child.stdin.write("hold\n"),
    goOn: () => void child.stdin.write("go\n"),
    async kill() {
      child.stdin.write(`signal ${constants.signals.SIGKILL}\ngo\n`);
      await exit;
    },
    async isWhole() {
      await parsed();
      const { wraparoundMode } = terminal.modes;
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the terminal's
      const hidden = /\x1b\[\?25l(?![\s\S]*\x1b\[\?25h)/.test(written);
      return wraparoundMode && !hidden && terminal.buffer.active.type === "normal";
    },
    exit,
  };
}
