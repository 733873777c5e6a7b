/** Looking at a local cluster: its state, and which of its processes live. */
import os from "node:os";
import path from "node:path";
import { DistmisError } from "../errors/index.ts";
import { type FoundProcess, processesWith } from "../processes/index.ts";
import { type ClusterState, clusterFiles, type NodeState, readState } from "./state.ts";

/** In the environment of all processes of a cluster, with the cluster's mark and the node's number. */
const MARK_VARIABLE = "DISTMIS_LOCAL_CLUSTER";

/** The label by which Ray knows a node's number. */
export const NODE_LABEL = "distmis-node";

export interface NodeStatus extends NodeState {
  /** Whether it serves. */
  alive: boolean;
}

export interface LocalCluster {
  /** Absolute. */
  readonly dir: string;
  /** host:port of the head. */
  readonly address: string;
  /** ISO 8601. */
  readonly since: string;
  /** What a program needs in its environment to join. */
  readonly environment: Record<string, string>;
  /** By their numbers; the first one is the head, without which there is no cluster. */
  readonly nodes: NodeStatus[];
  /** The processes of a node that live now, those of Ray and all that Ray has started there. */
  processes(node: number): FoundProcess[];
}

/** Where the local cluster of this user is: DISTMIS_CLUSTER_DIR, or a folder below /tmp, which no other machine sees. */
export function localClusterDir(): string {
  return path.resolve(process.env.DISTMIS_CLUSTER_DIR || `/tmp/distmis-cluster-${os.userInfo().uid}`);
}

/**
 * The local cluster in `dir`, also one whose nodes are dead; null if none was started since the machine was booted.
 * @throws DistmisError RUN_REFUSED, FILE_UNUSABLE
 */
export async function findLocalCluster(dir = localClusterDir()): Promise<LocalCluster | null> {
  const state = await readState(dir);
  return state === null ? null : lookAt(dir, state);
}

/** @returns the cluster as its processes are now */
export function lookAt(dir: string, { address, since, nodes, mark }: ClusterState): LocalCluster {
  return {
    dir,
    address,
    since,
    environment: { RAY_AUTH_MODE: "token", RAY_AUTH_TOKEN_PATH: clusterFiles.token(dir) },
    nodes: nodes.map((node, number) => {
      const processes = processesOf(mark, number);
      // Without its raylet a node is none; the head also needs the GCS, and an address, which a killed start has not kept.
      const needed = number === 0 ? ["/raylet/raylet ", "/gcs/gcs_server "] : ["/raylet/raylet "];
      const runs = needed.every((name) => processes.some(({ command }) => `${command} `.includes(name)));
      return { ...node, alive: runs && address !== "" };
    }),
    processes: (node) => processesOf(mark, node),
  };
}

/** The variable that the processes of a node carry. */
export function markOf(mark: string, node: number): Record<string, string> {
  return { [MARK_VARIABLE]: `${mark}-${node}` };
}

/** The same as "NAME=value". */
export function markText(mark: string, node: number): string {
  return `${MARK_VARIABLE}=${mark}-${node}`;
}

export function processesOf(mark: string, node: number): FoundProcess[] {
  return processesWith(markText(mark, node));
}

/**
 * What a Ray driver needs to join the local cluster.
 * @throws DistmisError CLUSTER_UNAVAILABLE if there is none, or its head is dead
 */
export async function connectionOf(dir?: string): Promise<Pick<LocalCluster, "address" | "environment">> {
  const cluster = await findLocalCluster(dir);
  if (cluster?.nodes[0]?.alive === true) return cluster;
  const why = cluster === null ? "no local cluster runs on this machine" : "the head of the local cluster is dead";
  throw new DistmisError("CLUSTER_UNAVAILABLE", `${why}: start it with \`distmis cluster start\``);
}
