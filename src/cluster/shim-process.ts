/** The Python shim as a child process: its start, its one line, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { z } from "zod";
import { DistmisError, messageOf } from "../errors/index.ts";
import { makeFolder, packageRoot, pythonPath } from "../paths/index.ts";
import type { ConnectOptions } from "./types.ts";

/** Ray needs 3 to 10 s; a slow file system may double that. */
const START_DEADLINE_SECONDS = 60;
/** The shim ends gangs and its Ray in this time, or is killed. */
const CLOSE_DEADLINE_MS = 15_000;
/** Its output ends with it. */
const LAST_LINE_MS = 1000;
const LOG_TAIL_LINES = 8;
/** Ray explains itself at length. */
const LOG_LINE_CHARACTERS = 200;
const LOG_TAIL_BYTES = 16 * 1024;

const startLine = z.union([
  z.object({ ready: z.literal(true), ray_address: z.string(), ray_version: z.string() }),
  z.object({ error: z.string() }),
]);

export interface ShimOptions extends ConnectOptions {
  /** Further variables of the shim's environment; undefined takes one out. */
  environment?: Readonly<Record<string, string | undefined>>;
  socketPath: string;
  tempDir: string;
}

export interface ShimProcess {
  readonly pid: number;
  /** Resolves when it has said that it is ready. @throws DistmisError CLUSTER_UNAVAILABLE, INTERRUPTED */
  ready(): Promise<void>;
  /** Resolves with a reason for a person when the process has ended, whoever ended it. */
  readonly exited: Promise<string>;
  /** Ends it by the end of its input, and by force if that takes too long. Idempotent. */
  close(): Promise<void>;
  /** Ends it by force. */
  kill(): Promise<void>;
}

/**
 * Starts the shim.
 * @throws DistmisError SETUP_INCOMPLETE if there is no Python to run it, FILE_UNUSABLE if the log can't be written
 */
export async function startShim(options: ShimOptions): Promise<ShimProcess> {
  const python = pythonPath();
  await fs.access(python, fs.constants.X_OK).catch(() => {
    throw new DistmisError("SETUP_INCOMPLETE", `Python environment ${python} is missing: run \`distmis setup\``);
  });
  const logFile = path.join(options.logDir ?? options.tempDir, "shim.log");
  const log = await openLog(logFile);
  let child: ChildProcess;
  try {
    child = spawn(python, shimArguments(options), {
      // Its input is its life line. In a process group of its own Ctrl-C in the terminal is ours alone to handle.
      stdio: ["pipe", "pipe", log.fd],
      detached: true,
      env: {
        ...process.env,
        ...options.environment,
        PYTHONPATH: path.join(packageRoot(), "python_shim"),
        PYTHONUNBUFFERED: "1",
      },
    });
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  } catch (error) {
    throw new DistmisError("SETUP_INCOMPLETE", `${python} cannot be run: ${messageOf(error)}: run \`distmis setup\``);
  } finally {
    await log.close();
  }
  const { pid, stdin, stdout } = child;
  if (pid === undefined || stdin === null || stdout === null) throw new Error("a spawned process has no pipes");
  stdin.on("error", () => {}); // It has ended; `exited` tells.

  const lines = linesOf(stdout);
  let over = false;
  const exited = new Promise<string>((resolve) => {
    child.once("exit", async (code, signal) => {
      over = true;
      const error = await Promise.race([lines.lastError, delay(LAST_LINE_MS, null, { ref: false })]);
      if (error !== null) return resolve(error);
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      resolve(`the shim (process ${pid}) ended ${how}${await logTail(logFile, options.logDir !== undefined)}`);
    });
  });

  const killGroup = () => {
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // Nobody is left in it.
    }
  };
  let closing: Promise<void> | undefined;
  const close = async () => {
    stdin.end();
    const timer = setTimeout(killGroup, CLOSE_DEADLINE_MS);
    await exited;
    clearTimeout(timer);
    if (child.exitCode !== 0) killGroup();
  };

  const ready = async () => {
    const { signal } = options;
    const deadline = AbortSignal.timeout(START_DEADLINE_SECONDS * 1000);
    const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    const aborted = new Promise<"aborted">((resolve) => {
      if (stop.aborted) resolve("aborted");
      stop.addEventListener("abort", () => resolve("aborted"), { once: true });
    });
    const line = await Promise.race([lines.first, aborted]);
    if (line === "aborted") {
      // Ray's start cannot be interrupted in any other way; what it has started ends with it.
      killGroup();
      if (signal?.aborted) throw new DistmisError("INTERRUPTED", "the start of the cluster was interrupted");
      const tail = await logTail(logFile, options.logDir !== undefined);
      throw unavailable(`the shim was not ready after ${START_DEADLINE_SECONDS} s${tail}`);
    }
    if (line === null) throw unavailable(await exited);
    const said = parseStartLine(line);
    if ("error" in said) throw unavailable(said.error);
  };

  return {
    pid,
    ready,
    exited,
    close() {
      closing ??= over ? Promise.resolve(killGroup()) : close();
      return closing;
    },
    async kill() {
      killGroup();
      await exited;
    },
  };
}

function shimArguments(options: ShimOptions): string[] {
  const args = ["-m", "distmis_shim", "--listen", `unix:${options.socketPath}`, "--temp-dir", options.tempDir];
  if (options.rayAddress !== undefined) args.push("--ray-address", options.rayAddress);
  if (options.gpus !== undefined) args.push("--num-gpus", String(options.gpus));
  if (options.cpus !== undefined) args.push("--num-cpus", String(options.cpus));
  if (options.logDir !== undefined) args.push("--log-dir", options.logDir);
  return args;
}

async function openLog(file: string): Promise<fs.FileHandle> {
  await makeFolder(path.dirname(file));
  try {
    return await fs.open(file, "a");
  } catch (error) {
    throw new DistmisError("FILE_UNUSABLE", `cannot write the log of the cluster: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** What the shim says: its start line (null if it ends before), and at its end an error, if it knows one. */
function linesOf(stream: Readable): { first: Promise<string | null>; lastError: Promise<string | null> } {
  const lines = createInterface({ input: stream });
  lines.on("error", () => {});
  let last: string | null = null;
  let count = 0;
  lines.on("line", (line) => {
    count++;
    if (count > 1) last = line;
  });
  const closed = once(lines, "close");
  return {
    first: Promise.race([once(lines, "line").then(([line]) => String(line)), closed.then(() => null)]),
    lastError: closed.then(() => {
      const said = last === null ? null : parseStartLine(last);
      return said !== null && "error" in said ? said.error : null;
    }),
  };
}

function parseStartLine(line: string): z.output<typeof startLine> {
  try {
    return startLine.parse(JSON.parse(line));
  } catch {
    throw unavailable(`the shim said ${JSON.stringify(line.slice(0, 200))} where its start line was expected`);
  }
}

function unavailable(message: string): DistmisError {
  return new DistmisError("CLUSTER_UNAVAILABLE", message);
}

/** The last lines of a log in one line, and where it lies if it stays. */
async function logTail(file: string, stays: boolean): Promise<string> {
  const where = stays ? `; log: ${file}` : "";
  let handle: fs.FileHandle | undefined;
  try {
    handle = await fs.open(file);
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read({
      buffer: Buffer.alloc(Math.min(size, LOG_TAIL_BYTES)),
      position: Math.max(0, size - LOG_TAIL_BYTES),
    });
    const lines = buffer
      .toString("utf8", 0, bytesRead)
      .split("\n")
      .map((line) => stripVTControlCharacters(line).trim());
    const tail = lines
      .filter((line) => line !== "")
      .slice(-LOG_TAIL_LINES)
      .map(cut);
    return tail.length === 0 ? where : `; its last words: ${tail.join(" | ")}${where}`;
  } catch {
    return where;
  } finally {
    await handle?.close();
  }
}

function cut(line: string): string {
  return line.length > LOG_LINE_CHARACTERS ? `${line.slice(0, LOG_LINE_CHARACTERS)}...` : line;
}
