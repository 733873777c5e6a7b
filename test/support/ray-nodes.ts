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
  /** Of the head; another one after its restart. */
  readonly address: string;
  /** Kills a node's raylet by SIGKILL, as if the machine were gone. */
  kill(node: number): void;
  /** Ends what is left of a node and starts it again; with the head, all nodes, as nothing of its cluster goes on. */
  restart(node: number): Promise<void>;
  /** The living processes of a node: "pid command line". */
  processes(node: number): string[];
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
  const children = new Map<number, ChildProcess>();
  let address = "";

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
    children.set(node, child);
    let printed = "";
    const gather = (text: Buffer): void => {
      printed += text;
    };
    child.stdout.on("data", gather);
    child.stderr.on("data", gather);
    const started = (): boolean => {
      if (child.exitCode !== null) throw new Error(`a node of Ray did not start: ${printed}`);
      return printed.includes("Ray runtime started");
    };
    await until(`the start of node ${node}`, () => started() || null, 60_000);
  };
  const startHead = async (): Promise<void> => {
    const options = ["--head", `--port=${await freePort()}`, `--ray-client-server-port=${await freePort()}`];
    await startNode(0, [...options, "--include-dashboard=false"]);
    // Ray writes it after it has said that it runs.
    const current = path.join(folder, "0", "ray_current_cluster");
    await until("the head's address", () => fs.existsSync(current) || null);
    address = fs.readFileSync(current, "utf8").trim();
  };
  /** Starts the head if it is to be, and the nodes behind it, one after the other: several at once miss Ray's own deadlines. */
  const start = async (nodes: readonly number[]): Promise<void> => {
    for (const node of nodes) await (node === 0 ? startHead() : startNode(node, [`--address=${address}`]));
  };
  const kill = (processes: readonly string[]): void => {
    for (const line of processes) {
      try {
        process.kill(Number(line.split(" ")[0]), "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
  };
  const processes = (node: number): string[] => markedProcesses(`${mark}-${node}`);
  const close = async (): Promise<void> => {
    for (const child of children.values()) child.kill("SIGTERM");
    await until("the end of Ray", () => markedProcesses(mark).length === 0 || null, 5000).catch(() => {});
    kill(markedProcesses(mark));
    for (const child of children.values())
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    fs.rmSync(folder, { recursive: true, force: true });
  };

  try {
    await start([...gpus.keys()]);
    return {
      environment,
      get address() {
        return address;
      },
      kill: (node) => kill(processes(node).filter((line) => line.includes("/raylet/raylet "))),
      async restart(node) {
        const nodes = node === 0 ? [...gpus.keys()] : [node];
        for (const each of nodes) {
          await until(`the end of node ${each}`, () => {
            kill(processes(each));
            return processes(each).length === 0;
          });
          fs.rmSync(path.join(folder, String(each)), { recursive: true, force: true });
        }
        await start(nodes);
      },
      processes,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
