/** A Ray of several nodes on this machine, made by `ray start` as on a real cluster, whose nodes come and go. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {
  findLocalCluster,
  type LocalCluster,
  type LocalNode,
  startLocalCluster,
  stopLocalCluster,
} from "../../src/local-cluster/index.ts";
import { until } from "./until.ts";

export interface RayNodes {
  /** What a shim needs in its environment to join. */
  environment: Record<string, string>;
  /** Of the head; another one after its restart. */
  readonly address: string;
  /** Adds a node, and returns its number. */
  add(node: number | LocalNode): Promise<number>;
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

/** Starts a node for each entry, of which a number stands for as many logical GPUs and as many CPUs; the first is the head. */
export async function startRayNodes(entries: readonly (number | LocalNode)[]): Promise<RayNodes> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dmr"));
  const dir = path.join(folder, "c");
  const nodes = entries.map(described);
  const start = async (): Promise<LocalCluster> => startLocalCluster({ dir, nodes, environment: QUICK_TO_NOTICE });
  const close = async (): Promise<void> => {
    await stopLocalCluster(dir);
    fs.rmSync(folder, { recursive: true, force: true });
  };
  const find = async (node: number) => (await findLocalCluster(dir))?.nodes[node];
  let cluster: LocalCluster;
  try {
    cluster = await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    environment: cluster.environment,
    get address() {
      return cluster.address;
    },
    async add(node) {
      nodes.push(described(node));
      cluster = await start();
      return nodes.length - 1;
    },
    kill: (node) => kill(cluster.processes(node).filter(({ command }) => command.includes("/raylet/raylet "))),
    async restart(node) {
      await until(`the end of node ${node}`, async () => {
        kill(cluster.processes(node));
        return (await find(node))?.alive === false;
      });
      cluster = await start();
    },
    processes: (node) => cluster.processes(node).map(({ pid, command }) => `${pid} ${command}`),
    close,
  };
}

function described(node: number | LocalNode): LocalNode {
  return typeof node === "number" ? { cpus: node, gpus: node } : node;
}

function kill(processes: readonly { pid: number }[]): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}
