/** What is kept of a local cluster in its folder. */
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import { bootId, pidNamespace } from "../processes/index.ts";

const nodeSchema = z.object({
  cpus: z.number(),
  gpus: z.number(),
  /** Custom resources. */
  resources: z.record(z.string(), z.number()).default({}),
  labels: z.record(z.string(), z.string()).default({}),
  /** CUDA_VISIBLE_DEVICES of the node; null leaves it as it is. */
  devices: z.string().nullable().default(null),
});

/** What a node has; the GPUs may be logical. */
export type LocalNode = z.input<typeof nodeSchema>;
export type NodeState = z.output<typeof nodeSchema>;

const stateSchema = z.object({
  version: z.literal(1),
  bootId: z.string(),
  pidNamespace: z.string(),
  /** In the environment of all its processes: MARK_VARIABLE is this and the node's number. */
  mark: z.string().min(1),
  /** ISO 8601. */
  since: z.string(),
  /** host:port of the head; empty before it runs. */
  address: z.string(),
  nodes: z.array(nodeSchema),
});
export type ClusterState = z.output<typeof stateSchema>;

export const clusterFiles = {
  state: (dir: string): string => path.join(dir, "cluster.json"),
  lock: (dir: string): string => path.join(dir, "cluster.lock"),
  /** The secret of Ray's token authentication. */
  token: (dir: string): string => path.join(dir, "token"),
  /** Ray's temporary folder of a node: short, as sockets lie in it. Raylets that start at once in one folder take each other's. */
  node: (dir: string, node: number): string => path.join(dir, String(node)),
  nodeLog: (dir: string, node: number): string => path.join(dir, `${node}.log`),
};

export function newNode(node: LocalNode): NodeState {
  return nodeSchema.parse(node);
}

/**
 * The state in `dir`; null if there is none, or if the machine was booted since.
 * @throws DistmisError RUN_REFUSED if its processes can't be seen from here, FILE_UNUSABLE
 */
export async function readState(dir: string): Promise<ClusterState | null> {
  const file = clusterFiles.state(dir);
  let state: ClusterState;
  try {
    state = stateSchema.parse(JSON.parse(await fs.readFile(file, "utf8")));
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return null;
    throw new DistmisError("FILE_UNUSABLE", `${file}: expected the state of a local cluster: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (state.bootId !== (await bootId())) return null;
  if (state.pidNamespace !== (await pidNamespace())) {
    throw new DistmisError(
      "RUN_REFUSED",
      `${dir}: the local cluster there was started in another container; set DISTMIS_CLUSTER_DIR to another folder, or use it there`,
    );
  }
  return state;
}

/** Writes a state as one of this boot and namespace, and returns it. */
export async function writeState(
  dir: string,
  state: Omit<ClusterState, "bootId" | "pidNamespace">,
): Promise<ClusterState> {
  const all: ClusterState = { ...state, bootId: await bootId(), pidNamespace: await pidNamespace() };
  await replaceFile(clusterFiles.state(dir), `${JSON.stringify(all, null, 1)}\n`);
  return all;
}
