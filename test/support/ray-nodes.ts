/** A Ray of several nodes on this machine, made by `ray start` as on a real cluster. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "./gang.ts";
import { markedProcesses } from "./marked-processes.ts";
import { testPython } from "./python.ts";
import { until } from "./until.ts";

export interface RayNodes {
  /** What a shim needs in its environment to join. */
  environment: Record<string, string>;
  address: string;
  /** Kills a node's raylet by SIGKILL, as if the machine were gone. */
  kill(node: number): void;
  close(): Promise<void>;
}

/** By Ray's own settings a node that answers no more is given up after a good 15 s. */
const QUICK_TO_NOTICE = {
  RAY_health_check_initial_delay_ms: "2000",
  RAY_health_check_period_ms: "500",
  RAY_health_check_timeout_ms: "1000",
  RAY_health_check_failure_threshold: "4",
};

/** Starts a node for each entry of `gpus`, which has as many logical GPUs and as many CPUs; the first is the head. */
export async function startRayNodes(gpus: readonly number[]): Promise<RayNodes> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dmr"));
  const token = path.join(folder, "token");
  fs.writeFileSync(token, randomUUID().replaceAll("-", "").repeat(2), { mode: 0o600 });
  const environment = { RAY_AUTH_MODE: "token", RAY_AUTH_TOKEN_PATH: token };
  const mark = `DISTMIS_TEST_MARK=${randomUUID()}`;
  const children: ChildProcess[] = [];
  let printed = "";

  const startNode = async (node: number, options: string[]): Promise<void> => {
    const count = String(gpus[node]);
    const args = [
      "start",
      ...options,
      "--block",
      "--disable-usage-stats",
      `--num-cpus=${count}`,
      `--num-gpus=${count}`,
    ];
    args.push("--object-store-memory=80000000", "--min-worker-port=0", "--max-worker-port=0");
    args.push("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", "--metrics-export-port=0");
    args.push(`--temp-dir=${path.join(folder, String(node))}`);
    const child = spawn(path.join(path.dirname(testPython), "ray"), args, {
      // SPT_NOENV: else Ray's processes write their titles over their environment, and so over the mark.
      env: {
        ...process.env,
        ...environment,
        ...QUICK_TO_NOTICE,
        DISTMIS_TEST_MARK: `${mark.split("=")[1]}-${node}`,
        SPT_NOENV: "1",
      },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    children.push(child);
    const gather = (text: Buffer): void => {
      printed += text;
    };
    child.stdout.on("data", gather);
    child.stderr.on("data", gather);
    const started = (): boolean => {
      if (child.exitCode !== null) throw new Error(`a node of Ray did not start: ${printed}`);
      return printed.split("Ray runtime started").length > node + 1;
    };
    await until(`the start of node ${node}`, () => started() || null, 60_000);
  };
  const close = async (): Promise<void> => {
    for (const child of children) child.kill("SIGTERM");
    await until("the end of Ray", () => markedProcesses(mark).length === 0 || null, 5000).catch(() => {});
    for (const line of markedProcesses(mark)) process.kill(Number(line.split(" ")[0]), "SIGKILL");
    for (const child of children) if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    fs.rmSync(folder, { recursive: true, force: true });
  };

  try {
    const options = ["--head", `--port=${await freePort()}`, `--ray-client-server-port=${await freePort()}`];
    await startNode(0, [...options, "--include-dashboard=false"]);
    // Ray writes it after it has said that it runs.
    const current = path.join(folder, "0", "ray_current_cluster");
    await until("the head's address", () => fs.existsSync(current) || null);
    const address = fs.readFileSync(current, "utf8").trim();
    // One after the other: on a small machine several at once miss Ray's own deadlines.
    for (let node = 1; node < gpus.length; node++) await startNode(node, [`--address=${address}`]);
    return {
      environment,
      address,
      kill(node) {
        const raylet = markedProcesses(`${mark}-${node}`).filter((line) => line.includes("/raylet/raylet "));
        for (const line of raylet) process.kill(Number(line.split(" ")[0]), "SIGKILL");
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
