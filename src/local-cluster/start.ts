/** Making a local cluster what it is to be: new, larger, or whole again. */
import { randomBytes, randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { DistmisError } from "../errors/index.ts";
import { killAll, startRayNode } from "../ray-node/index.ts";
import { type LocalCluster, localClusterDir, lookAt, markOf, NODE_LABEL, processesOf } from "./find.ts";
import { emptyFolder, withFolder } from "./folder.ts";
import {
  type ClusterState,
  clusterFiles,
  type LocalNode,
  type NodeState,
  newNode,
  readState,
  writeState,
} from "./state.ts";
import { endProcesses } from "./stop.ts";

export interface LocalClusterOptions {
  /** Default: {@link localClusterDir}. */
  dir?: string;
  /** The first one is the head. */
  nodes: readonly LocalNode[];
  /** Further variables for Ray's processes. */
  environment?: Readonly<Record<string, string>>;
  /** Ends the start, and what it has started. */
  signal?: AbortSignal;
  /** Called before a node is started. */
  onStart?: (node: number) => void;
}

export interface StartedCluster extends LocalCluster {
  /** Numbers of the nodes that were started now; none if all were there. */
  readonly started: number[];
}

/** By Ray's own settings a node that answers no more is given up after a good 15 s. */
const QUICK_TO_NOTICE = {
  RAY_health_check_initial_delay_ms: "2000",
  RAY_health_check_period_ms: "1000",
  RAY_health_check_timeout_ms: "2000",
  RAY_health_check_failure_threshold: "3",
};

/**
 * Sees to it that the local cluster has these nodes: starts it, adds nodes, and starts again those that have died, all of them if
 * the head has. Nodes that live stay as they are.
 *
 * @throws DistmisError RUN_REFUSED if the nodes that live are others or more, or while another process starts or stops it;
 * FILE_UNUSABLE, SETUP_INCOMPLETE, CLUSTER_UNAVAILABLE, INTERRUPTED: of a new cluster nothing is left then.
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<StartedCluster> {
  const { dir = localClusterDir() } = options;
  const nodes = options.nodes.map(newNode);
  return withFolder(dir, async () => {
    const state = await readState(dir);
    const goesOn = state !== null && lookAt(dir, state).nodes[0]?.alive === true;
    if (goesOn) return extend(dir, { ...state, nodes: withMore(dir, state.nodes, nodes) }, options);
    // Without its head the rest is of no use.
    if (state !== null) await endProcesses(state);
    await emptyFolder(dir);
    const fresh = await freshState(dir, nodes);
    try {
      return await extend(dir, fresh, options);
    } catch (error) {
      await endProcesses(fresh);
      await emptyFolder(dir);
      throw error;
    }
  });
}

/** @throws DistmisError RUN_REFUSED if `wanted` does not begin with `present` */
function withMore(dir: string, present: readonly NodeState[], wanted: readonly NodeState[]): NodeState[] {
  if (wanted.length >= present.length && present.every((node, index) => isDeepStrictEqual(node, wanted[index]))) {
    return [...wanted];
  }
  const words = (nodes: readonly NodeState[]): string =>
    nodes.map(({ cpus, gpus }) => `${cpus} CPUs and ${gpus} GPUs`).join(", ");
  throw new DistmisError(
    "RUN_REFUSED",
    `${dir}: a local cluster runs already, of other nodes (${words(present)}; asked for: ${words(wanted)}): stop it first with \`distmis cluster stop\``,
  );
}

async function freshState(dir: string, nodes: NodeState[]): Promise<ClusterState> {
  await fs.writeFile(clusterFiles.token(dir), randomBytes(32).toString("hex"), { mode: 0o600 });
  // On the disk before anything is started: what a killed start leaves can be stopped.
  return writeState(dir, { version: 1, mark: randomUUID(), since: new Date().toISOString(), address: "", nodes });
}

/** Starts the nodes of `state` that are not alive. */
async function extend(dir: string, state: ClusterState, options: LocalClusterOptions): Promise<StartedCluster> {
  const { mark } = state;
  const environment = {
    ...QUICK_TO_NOTICE,
    ...options.environment,
    ...lookAt(dir, state).environment,
    RAY_AUTH_TOKEN: undefined,
    RAY_ADDRESS: undefined,
  };
  const signal = options.signal ?? new AbortController().signal;
  const started: number[] = [];
  let { address } = state;
  await writeState(dir, state);
  // One after the other: on a small machine several at once miss Ray's own deadlines.
  for (const [number, { alive }] of lookAt(dir, state).nodes.entries()) {
    const node = state.nodes[number];
    if (alive || node === undefined) continue;
    await killAll(() => processesOf(mark, number));
    options.onStart?.(number);
    const ray = await startRayNode({
      ...node,
      name: `node ${number} of Ray`,
      labels: { ...node.labels, [NODE_LABEL]: String(number) },
      address: address || null,
      ip: null,
      tempDir: clusterFiles.node(dir, number),
      logFile: clusterFiles.nodeLog(dir, number),
      environment: {
        ...environment,
        ...(node.devices === null ? {} : { CUDA_VISIBLE_DEVICES: node.devices }),
        ...markOf(mark, number),
      },
      diesWithParent: false,
      signal,
    });
    address = ray.address;
    await writeState(dir, { ...state, address });
    started.push(number);
  }
  return { ...lookAt(dir, { ...state, address }), started };
}
