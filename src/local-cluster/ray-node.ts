/** One node of a local cluster: `ray start` as on a real one, and its end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DistmisError, messageOf } from "../errors/index.ts";
import { pythonPath } from "../paths/index.ts";
import type { FoundProcess } from "../processes/index.ts";
import { MARK_VARIABLE, NODE_LABEL } from "./find.ts";
import { clusterFiles, type NodeState } from "./state.ts";

/** Ray needs 3 to 10 s; a busy machine several times that. */
const START_MILLISECONDS = 90_000;
const POLL_MILLISECONDS = 50;
/** Nothing large goes through it; Ray's least is 75 MiB. */
const OBJECT_STORE_BYTES = 80_000_000;
const LOG_LINES = 6;

// Below the ports that the system gives away itself (/proc/sys/net/ipv4/ip_local_port_range), so that none is taken meanwhile.
const [FIRST_PORT, LAST_PORT] = [20_000, 32_000];

export interface NodeStart {
  dir: string;
  mark: string;
  number: number;
  node: NodeState;
  /** Of the head; null starts the head. */
  address: string | null;
  /** Of Ray's processes, over that of this one; undefined takes a variable out. */
  environment: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
}

/**
 * Starts a node, which lives on when this process ends. Resolves with the address of the head when it runs.
 * @throws DistmisError SETUP_INCOMPLETE, CLUSTER_UNAVAILABLE, INTERRUPTED; its processes may live then
 */
export async function startRayNode({ dir, mark, number, node, ...how }: NodeStart): Promise<string> {
  const ray = path.join(path.dirname(pythonPath()), "ray");
  await fs.access(ray, fs.constants.X_OK).catch(() => {
    throw new DistmisError("SETUP_INCOMPLETE", `${ray} is missing: run \`distmis setup\``);
  });
  const tempDir = clusterFiles.node(dir, number);
  await fs.rm(tempDir, { recursive: true, force: true });
  const logFile = clusterFiles.nodeLog(dir, number);
  const log = await fs.open(logFile, "w", 0o600);
  const child = spawn(ray, [...rayArguments(node, number, tempDir), ...(await roleArguments(how.address))], {
    env: {
      ...process.env,
      ...how.environment,
      ...(node.devices === null ? {} : { CUDA_VISIBLE_DEVICES: node.devices }),
      [MARK_VARIABLE]: `${mark}-${number}`,
      // Else Ray's processes write their titles over their environment, and so over the mark.
      SPT_NOENV: "1",
    },
    stdio: ["ignore", log.fd, log.fd],
    detached: true,
  });
  child.unref();
  try {
    await once(child, "spawn");
  } catch (error) {
    throw new DistmisError("SETUP_INCOMPLETE", `${ray} cannot be run: ${messageOf(error)}: run \`distmis setup\``);
  } finally {
    await log.close();
  }
  const current = path.join(tempDir, "ray_current_cluster");
  const end = performance.now() + START_MILLISECONDS;
  for (;;) {
    const printed = await fs.readFile(logFile, "utf8");
    if (printed.includes("Ray runtime started")) {
      if (how.address !== null) return how.address;
      // Ray writes it after it has said that it runs.
      const address = await fs.readFile(current, "utf8").catch(() => "");
      if (address !== "") return address.trim();
    }
    const over = child.exitCode !== null || child.signalCode !== null;
    if (over || performance.now() > end) {
      const why = over ? "it ended" : `it was not ready after ${START_MILLISECONDS / 1000} s`;
      const lines = printed.split("\n").filter((line) => line.trim() !== "");
      const tail = lines.slice(-LOG_LINES).join(" | ");
      throw new DistmisError("CLUSTER_UNAVAILABLE", `node ${number} of Ray did not start, ${why}: ${tail}`);
    }
    if (how.signal.aborted) throw new DistmisError("INTERRUPTED", "the start of the local cluster was interrupted");
    await delay(POLL_MILLISECONDS);
  }
}

function rayArguments({ cpus, gpus, resources, labels }: NodeState, number: number, tempDir: string): string[] {
  return [
    ...["start", "--block", "--disable-usage-stats", `--temp-dir=${tempDir}`],
    ...[`--num-cpus=${cpus}`, `--num-gpus=${gpus}`, `--object-store-memory=${OBJECT_STORE_BYTES}`],
    ...(Object.keys(resources).length > 0 ? [`--resources=${JSON.stringify(resources)}`] : []),
    `--labels=${Object.entries({ ...labels, [NODE_LABEL]: number }).map(([name, value]) => `${name}=${value}`)}`,
    // Ports that the system gives out: several nodes, and several users, share this machine.
    ...["--min-worker-port=0", "--max-worker-port=0"],
    ...["--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--metrics-export-port=0"],
  ];
}

async function roleArguments(address: string | null): Promise<string[]> {
  if (address !== null) return [`--address=${address}`];
  const [port, clientPort] = [await freePort(), await freePort()];
  return ["--head", `--port=${port}`, `--ray-client-server-port=${clientPort}`, "--include-dashboard=false"];
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    const server = net.createServer();
    try {
      await once(server.listen(port), "listening");
      server.close();
      await once(server, "close");
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

/** Sends a signal to processes; those that have ended meanwhile are left out. */
export function signalAll(processes: readonly FoundProcess[], signal: "SIGTERM" | "SIGKILL"): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended.
    }
  }
}

/**
 * Kills processes by SIGKILL until there are none.
 * @throws DistmisError CLUSTER_UNAVAILABLE if some do not die
 */
export async function killAll(find: () => FoundProcess[], deadlineMilliseconds = 15_000): Promise<void> {
  const end = performance.now() + deadlineMilliseconds;
  for (let left = find(); left.length > 0; left = find()) {
    if (performance.now() > end) {
      const who = left.map(({ pid }) => pid).join(", ");
      throw new DistmisError("CLUSTER_UNAVAILABLE", `processes of the local cluster can't be killed: ${who}`);
    }
    signalAll(left, "SIGKILL");
    await delay(POLL_MILLISECONDS);
  }
}
