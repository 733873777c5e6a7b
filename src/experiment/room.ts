/** The room that a run has in the cluster: what the nodes of now hold, without those that are left out. */
import type { Cluster } from "../cluster/index.ts";
import type { GangRequest, Node } from "../generated/distmis/v1/cluster.ts";
import type { NodeFaults, NodeRecord } from "./node-faults.ts";
import type { Capacity, Placement } from "./placement.ts";

export interface Room {
  readonly capacity: Capacity;
  /** Whether the nodes of now hold a gang with so many replicas, when they are idle. */
  holds(replicas: number): boolean;
  /** The request of such a gang, which may also be kept off one more node. */
  request(replicas: number, avoided?: string | null): GangRequest;
  /** Whether one could start right now without that node. */
  isFreeBeside(replicas: number, nodeId: string): Promise<boolean>;
  isOut(nodeId: string): boolean;
  /** Looks at the nodes and their faults anew, and, if they have changed or `doubted`, at what they hold. */
  refresh(doubted?: boolean): Promise<void>;
}

export interface RoomNews {
  /** Something that the user should know. */
  say(text: string): Promise<void>;
  /** Another number of trials runs at once from now on; `change`: why. */
  placed(capacity: Capacity, change: string): Promise<void>;
  /** Whatever depends on the room should look at it. */
  changed(): void;
}

export async function createRoom(
  cluster: Cluster,
  placement: Placement,
  faults: NodeFaults,
  news: RoomNews,
): Promise<Room> {
  let capacity = placement.initial;
  let nodes = await look(cluster);
  let out: ReadonlyMap<string, NodeRecord> = new Map();
  /** Nodes of which was said that they are kept in use. */
  const kept = new Set<string>();
  let seen = "";
  let looking: Promise<void> | null = null;

  const name = (nodeId: string): string => {
    const node = nodes.get(nodeId);
    return node === undefined ? nodeId : `${node.hostName} (${node.address}, ${nodeId.slice(0, 8)} in Ray)`;
  };

  const refresh = async (doubted: boolean): Promise<void> => {
    const now = await look(cluster);
    const bad = new Map([...faults.bad()].filter(([nodeId]) => now.has(nodeId)));
    const state = JSON.stringify([[...now.values()].map(({ nodeId, total }) => [nodeId, total]), [...bad.keys()]]);
    if (state === seen && !doubted) return;
    const without = await placement.capacity([...bad.keys()]);
    const all = bad.size > 0 && without.missing !== "" ? await placement.capacity() : without;
    // Better a node that fails than none.
    const needed = all !== without && all.missing === "";
    // Not before all is known: what could not be looked at is looked at the next time.
    seen = state;
    const [before, wasOut, was] = [nodes, out, capacity];
    nodes = now;
    out = needed ? new Map() : bad;
    capacity = needed ? all : without;
    await tell(wasOut, needed ? bad : new Map());
    const change = [moved(before, nodes, "joined"), moved(nodes, before, "left")]
      .filter((text) => text !== "")
      .join("; ");
    if (JSON.stringify(was.sizes) !== JSON.stringify(capacity.sizes))
      await news.placed(capacity, change || "the cluster has changed");
    news.changed();
  };

  const tell = async (wasOut: ReadonlyMap<string, NodeRecord>, needed: ReadonlyMap<string, NodeRecord>) => {
    for (const [nodeId, record] of out) {
      if (!wasOut.has(nodeId))
        await news.say(`node ${name(nodeId)} is left out for the rest of this run: ${words(record)}`);
    }
    for (const nodeId of wasOut.keys()) {
      if (!nodes.has(nodeId) || out.has(nodeId)) continue;
      if (needed.has(nodeId)) kept.add(nodeId);
      await news.say(
        `node ${name(nodeId)} is used again${needed.has(nodeId) ? ", as no other one can hold a trial" : ""}`,
      );
    }
    for (const [nodeId, record] of needed) {
      if (kept.has(nodeId)) continue;
      kept.add(nodeId);
      await news.say(`node ${name(nodeId)} stays in use, as no other one can hold a trial, but ${words(record)}`);
    }
  };

  return {
    get capacity() {
      return capacity;
    },
    holds(replicas) {
      const size = capacity.sizes.find((each) => each.replicas === replicas);
      return size === undefined ? replicas <= capacity.room : size.concurrency > 0;
    },
    request: (replicas, avoided = null) =>
      placement.request(replicas, avoided === null ? [...out.keys()] : [...out.keys(), avoided]),
    async isFreeBeside(replicas, nodeId) {
      const { gangsInFree } = await cluster.check(placement.request(replicas, [...out.keys(), nodeId]));
      return gangsInFree > 0;
    },
    isOut: (nodeId) => out.has(nodeId),
    async refresh(doubted = false) {
      // What changed while one looked is seen by the next.
      while (looking !== null) await looking;
      looking = refresh(doubted).finally(() => {
        looking = null;
      });
      await looking;
    },
  };
}

async function look(cluster: Cluster): Promise<ReadonlyMap<string, Node>> {
  const { nodes } = await cluster.describe();
  return new Map(nodes.filter(({ alive }) => alive).map((node) => [node.nodeId, node]));
}

function words({ lost, error }: NodeRecord): string {
  return `${lost.length} in a row were lost there (${lost.join(", ")}), the last one by: ${error}`;
}

/** `2 nodes joined (gpu-7, gpu-8)`; empty if none did. */
function moved(before: ReadonlyMap<string, Node>, after: ReadonlyMap<string, Node>, verb: string): string {
  const names = [...after.values()].filter(({ nodeId }) => !before.has(nodeId)).map(({ hostName }) => hostName);
  return names.length === 0
    ? ""
    : `${names.length === 1 ? "1 node" : `${names.length} nodes`} ${verb} (${names.join(", ")})`;
}
