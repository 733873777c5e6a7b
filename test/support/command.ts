/** The command line as a child process, from the sources. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import { markedProcesses } from "./marked-processes.ts";
import { repositoryRoot } from "./python.ts";

export interface Command {
  child: ChildProcess;
  /** Living processes that it has started, itself included: "pid command line". */
  processes(): string[];
  stdout(): string;
  stderr(): string;
  exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Program and arguments that run the command line. */
export function distmisCommand(args: readonly string[]): [string, ...string[]] {
  const main = path.join(repositoryRoot, "src/cli/main.ts");
  return [process.execPath, "--import", import.meta.resolve("tsx"), main, ...args];
}

/**
 * Starts a program in a process group of its own, as a shell does.
 * @param command see {@link distmisCommand}
 */
export function startCommand([program, ...args]: readonly [string, ...string[]], cwd: string): Command {
  const mark = `DISTMIS_TEST_MARK=${randomUUID()}`;
  const child = spawn(program, args, {
    cwd,
    detached: true,
    // SPT_NOENV: else Ray's processes write their titles over their environment, and so over the mark.
    env: { ...process.env, DISTMIS_TEST_MARK: mark.split("=")[1], SPT_NOENV: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const exit = once(child, "close").then(([code, signal]) => ({ code, signal }));
  return { child, processes: () => markedProcesses(mark), stdout: () => stdout, stderr: () => stderr, exit };
}
