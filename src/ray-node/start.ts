/** The start of a node by `ray start`, as a person would start one. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, messageOf } from "../errors/index.ts";
import { packageRoot, pythonPath } from "../paths/index.ts";
import { freePort } from "./free-port.ts";

/** Ray needs 3 to 10 s; a busy machine several times that. */
const START_SECONDS = 90;
const POLL_MILLISECONDS = 50;
const TELL_AGAIN_MILLISECONDS = 60_000;
/** Nothing large goes through it; Ray's least is 75 MiB. */
const OBJECT_STORE_BYTES = 80_000_000;
const LOG_LINES = 6;

/** Ray's command line; by this name its process is known, too. */
export const RAY_COMMAND = "python_shim/distmis_shim/ray_command.py";

export interface RayNodeOptions {
  /** For messages, for example "node 2 of Ray". */
  name: string;
  cpus: number;
  gpus: number;
  /** Custom resources. */
  resources: Readonly<Record<string, number>>;
  labels: Readonly<Record<string, string>>;
  /** host:port of the head; null starts the head. A promise has everything prepared while it is waited for. */
  address: string | Promise<string> | null;
  /** Address of this node for the others; null leaves it to Ray. */
  ip: string | null;
  /** Ray's folder: short, as sockets lie in it, and of this node alone. It is emptied. */
  tempDir: string;
  logFile: string;
  /** Of Ray's processes, over that of this one; undefined takes a variable out. */
  environment: Readonly<Record<string, string | undefined>>;
  /** How long the start may take, once there is an address; default 90. */
  startSeconds?: number;
  /** Told how far it is, when it has taken so many seconds, the wait for the address included, and each minute from then on. */
  slow?: { afterSeconds: number; say(how: string): void };
  /** Ends the node when this process ends, however it does. Else it lives on. */
  diesWithParent: boolean;
  signal: AbortSignal;
}

export interface RayNodeProcess {
  /** host:port of the head. */
  readonly address: string;
  /** Resolves with the reason when `ray start --block` has ended, and with it the node. */
  readonly ended: Promise<string>;
}

/**
 * Starts a node. Resolves when Ray's head knows it.
 * @throws DistmisError SETUP_INCOMPLETE, CLUSTER_UNAVAILABLE, INTERRUPTED; its processes may live then
 */
export async function startRayNode(options: RayNodeOptions): Promise<RayNodeProcess> {
  const { name, tempDir, logFile, signal } = options;
  const begin = performance.now();
  const python = pythonPath();
  await fs.access(python, fs.constants.X_OK).catch(() => {
    throw new DistmisError("SETUP_INCOMPLETE", `${python} is missing: run \`distmis setup\``);
  });
  await fs.rm(tempDir, { recursive: true, force: true });
  const log = await fs.open(logFile, "w", 0o600);
  let child: ChildProcess;
  try {
    const command = [
      // TERM and not KILL: `ray start` ends its processes on it.
      ...(options.diesWithParent ? ["setpriv", "--pdeathsig", "TERM"] : []),
      ...[python, path.join(packageRoot(), RAY_COMMAND)],
    ];
    child = spawn(command[0] as string, command.slice(1), {
      env: {
        ...process.env,
        ...options.environment,
        // Else Ray's processes write their titles over their environment, and so over any mark in it.
        SPT_NOENV: "1",
      },
      stdio: ["pipe", log.fd, log.fd],
      detached: true,
    });
    if (!options.diesWithParent) child.unref();
    await once(child, "spawn");
  } catch (error) {
    throw new DistmisError("SETUP_INCOMPLETE", `${python} cannot be run: ${messageOf(error)}: run \`distmis setup\``);
  } finally {
    await log.close();
  }
  const ended = endOf(child, logFile);
  child.stdin?.on("error", () => {}); // It has ended; `ended` tells.
  const address = await Promise.race([options.address, ended.then(() => null), aborted(signal)]);
  if (address === null && options.address !== null) {
    child.stdin?.end();
    if (signal.aborted) throw new DistmisError("INTERRUPTED", `the start of ${name} was interrupted`);
    throw notStarted(name, await ended);
  }
  const args = [...rayArguments(options), ...(address === null ? await headArguments() : [`--address=${address}`])];
  child.stdin?.end(`${JSON.stringify(args)}\n`);
  const current = path.join(tempDir, "ray_current_cluster");
  const { startSeconds = START_SECONDS } = options;
  const end = performance.now() + startSeconds * 1000;
  let told = begin + (options.slow?.afterSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  for (;;) {
    const printed = await fs.readFile(logFile, "utf8");
    if (printed.includes("Ray runtime started")) {
      if (address !== null) return { address, ended };
      // Ray writes it after it has said that it runs.
      const own = await fs.readFile(current, "utf8").catch(() => "");
      if (own !== "") return { address: own.trim(), ended };
    }
    if (child.exitCode !== null || child.signalCode !== null) throw notStarted(name, await ended);
    if (performance.now() > end) {
      throw notStarted(name, `it was not ready after ${startSeconds} s${tailOf(printed)}`);
    }
    if (signal.aborted) throw new DistmisError("INTERRUPTED", `the start of ${name} was interrupted`);
    if (performance.now() > told) {
      options.slow?.say(`${name} is not ready after ${Math.round((told - begin) / 1000)} s${tailOf(printed)}`);
      told += TELL_AGAIN_MILLISECONDS;
    }
    await delay(POLL_MILLISECONDS);
  }
}

function notStarted(name: string, why: string): DistmisError {
  return new DistmisError("CLUSTER_UNAVAILABLE", `${name} did not start, ${why}`);
}

async function endOf(child: ChildProcess, logFile: string): Promise<string> {
  const [code, killed] = await once(child, "exit");
  const printed = await fs.readFile(logFile, "utf8").catch(() => "");
  return `it ended ${killed === null ? `with exit code ${code}` : `by ${killed}`}${tailOf(printed)}`;
}

/** The last lines of what Ray printed, in one. */
function tailOf(printed: string): string {
  const lines = printed.split("\n").filter((line) => line.trim() !== "");
  return lines.length === 0 ? "" : `: ${lines.slice(-LOG_LINES).join(" | ")}`;
}

function rayArguments({ cpus, gpus, resources, labels, tempDir, ip }: RayNodeOptions): string[] {
  const named = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return [
    ...["start", "--block", "--disable-usage-stats", `--temp-dir=${tempDir}`],
    // What trainers print goes its own way: no process is needed to send it to drivers.
    "--include-log-monitor=false",
    ...[`--num-cpus=${cpus}`, `--num-gpus=${gpus}`, `--object-store-memory=${OBJECT_STORE_BYTES}`],
    ...(Object.keys(resources).length > 0 ? [`--resources=${JSON.stringify(resources)}`] : []),
    ...(named.length > 0 ? [`--labels=${named}`] : []),
    ...(ip === null ? [] : [`--node-ip-address=${ip}`]),
    // Ports that the system gives out: several nodes, and several users, share a machine.
    ...["--min-worker-port=0", "--max-worker-port=0"],
    ...["--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--metrics-export-port=0"],
  ];
}

async function headArguments(): Promise<string[]> {
  // No cluster of ours grows by itself: no monitor.
  const without = ["--include-dashboard=false", "--no-monitor"];
  return ["--head", `--port=${await freePort()}`, ...without];
}

/** Resolves when the signal does; what waits for it looks itself. */
function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}
