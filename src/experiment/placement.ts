/** From `resources` of an experiment to a gang request, and how many of them the cluster holds. */
import type { Cluster } from "../cluster/index.ts";
import type { ResourcesConfig } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { type GangRequest, type Node, PlacementStrategy } from "../generated/distmis/v1/cluster.ts";

const STRATEGIES: Record<ResourcesConfig["strategy"], PlacementStrategy> = {
  pack: PlacementStrategy.PLACEMENT_STRATEGY_PACK,
  strict_pack: PlacementStrategy.PLACEMENT_STRATEGY_STRICT_PACK,
  spread: PlacementStrategy.PLACEMENT_STRATEGY_SPREAD,
  strict_spread: PlacementStrategy.PLACEMENT_STRATEGY_STRICT_SPREAD,
};

/** As much as Ray itself asks for of an accelerator type, of which a node that has it has 1. */
const ACCELERATOR_SHARE = 0.001;

/** Ray counts resources in ten-thousandths. */
const RAY_UNIT = 1e4;

/** What the nodes of a moment hold when they are idle. */
export interface Capacity {
  /** How many trials with so many replicas, bounded by max_concurrent_trials; 0 where not one fits. */
  sizes: { replicas: number; concurrency: number }[];
  /** Replicas. */
  room: number;
  /** Why a size does not fit, for a person; empty if all of them do. */
  missing: string;
}

export interface Placement {
  /** What to ask for a trial with so many replicas, beside some nodes; a replica has the same in all trials of a search. */
  request(replicas: number, excluded?: readonly string[]): GangRequest;
  /** What the cluster holds now, beside some nodes. */
  capacity(excluded?: readonly string[]): Promise<Capacity>;
  /** When it was planned: every size fits. */
  initial: Capacity;
  /** Upper bound of trials at once. */
  bound: number;
}

/**
 * What to ask for and how often it fits.
 * @param sizes the replicas that trials of the search have; default: those of `resources`
 * @throws DistmisError PLACEMENT_REFUSED, saying what is missing, if one of them never fits
 */
export async function planPlacement(
  cluster: Cluster,
  resources: ResourcesConfig,
  sizes: readonly number[] = [resources.replicas],
): Promise<Placement> {
  const { gpus_per_replica: gpus, max_concurrent_trials: bound = Number.POSITIVE_INFINITY } = resources;
  const auto = resources.cpus_per_replica === "auto";
  const cpus =
    resources.cpus_per_replica === "auto"
      ? autoCpus((await cluster.describe()).nodes, { ...resources, replicas: Math.max(...sizes) })
      : resources.cpus_per_replica;
  const request = (replicas: number, excluded: readonly string[] = []): GangRequest => ({
    replicas,
    perReplica: {
      gpus,
      cpus,
      memoryBytes: resources.memory_per_replica,
      custom: customOf(resources),
      nodeLabels: resources.node_labels,
    },
    strategy: STRATEGIES[resources.strategy],
    excludedNodes: [...excluded],
  });
  const capacity = async (excluded: readonly string[] = []): Promise<Capacity> => {
    const held = new Map<number, number>();
    const without: string[] = [];
    for (const wanted of sizes) {
      const replicas = await replicasHeld(cluster, (count) => request(count, excluded), resources, wanted);
      const { gangsInTotal, missing } = await cluster.check(request(replicas, excluded));
      const asked = `${wanted} x (${gpus} GPU, ${cpus} CPU${auto ? " by cpus_per_replica: auto" : ""})`;
      if (gangsInTotal === 0) without.push(`the cluster can't hold one trial, ${asked}: ${missing}`);
      held.set(replicas, gangsInTotal);
    }
    const [[only, gangs] = [1, 1]] = held;
    return {
      sizes: [...held].map(([replicas, total]) => ({ replicas, concurrency: Math.min(total, bound) })),
      // Of gangs that each keep to one node less may fit than there are places for replicas.
      room:
        held.size === 1 && resources.elastic === undefined
          ? only * gangs
          : (await cluster.check(request(1, excluded))).gangsInTotal,
      missing: without[0] ?? "",
    };
  };
  const initial = await capacity();
  if (initial.missing !== "") {
    const hint =
      gpus > 0
        ? "on a Ray that distmis starts, --gpus N declares N GPUs, real or logical; --set resources.gpus_per_replica=0 does without"
        : "ask for less in the experiment's resources";
    const fewer = Math.max(...sizes) > 1 ? ", --set resources.replicas=N asks for fewer replicas" : "";
    throw new DistmisError("PLACEMENT_REFUSED", `${initial.missing}; ${hint}${fewer}`);
  }
  return { request, capacity, initial, bound };
}

/** The custom resources of a replica, its type of accelerator among them. */
function customOf({ custom, accelerator_type: type }: ResourcesConfig): Record<string, number> {
  return { ...custom, ...(type === undefined ? {} : { [`accelerator_type:${type}`]: ACCELERATOR_SHARE }) };
}

/**
 * With how many replicas a trial starts that is to have `wanted`: with `resources.elastic` as many as the cluster holds,
 * down to its `min`; else always `wanted`.
 */
export async function replicasHeld(
  cluster: Cluster,
  request: (replicas: number) => GangRequest,
  { elastic }: ResourcesConfig,
  wanted: number,
): Promise<number> {
  if (elastic === undefined) return wanted;
  const fits = async (replicas: number): Promise<boolean> => (await cluster.check(request(replicas))).gangsInTotal > 0;
  if (await fits(wanted)) return wanted;
  return (await largest(elastic.min, wanted - 1, fits)) ?? wanted;
}

/**
 * The same for a trial that starts again after a loss, which may also grow: up to `max`, if that many replicas are free.
 */
export async function replicasAfterLoss(
  cluster: Cluster,
  request: (replicas: number) => GangRequest,
  resources: ResourcesConfig,
  wanted: number,
): Promise<number> {
  const { elastic } = resources;
  if (elastic === undefined) return wanted;
  const free = async (replicas: number): Promise<boolean> => (await cluster.check(request(replicas))).gangsInFree > 0;
  return (await largest(wanted + 1, elastic.max, free)) ?? (await replicasHeld(cluster, request, resources, wanted));
}

/** The largest number of a range for which something holds that holds for all smaller ones, too; null if for none. */
async function largest(from: number, to: number, holds: (value: number) => Promise<boolean>): Promise<number | null> {
  let [low, high] = [from - 1, to];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (await holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low < from ? null : low;
}

/**
 * `cpus_per_replica: auto`: the share of a node's CPUs that belongs to a replica's share of its GPUs, on the node where
 * that is least. Whole CPUs, but where a node has fewer CPUs than GPUs a fraction, so that no GPU stays idle. Without
 * GPUs: the cluster's CPUs over max_concurrent_trials if that is given, else 1.
 */
export function autoCpus(nodes: readonly Node[], resources: ResourcesConfig): number {
  const { gpus_per_replica: gpus, max_concurrent_trials: bound, node_labels: labels } = resources;
  const custom = Object.entries(customOf(resources));
  const usable = nodes.filter(
    (node) =>
      node.alive &&
      Object.entries(labels).every(([name, value]) => node.labels[name] === value) &&
      custom.every(([name, amount]) => (node.total[name] ?? 0) >= amount),
  );
  if (gpus === 0) {
    if (bound === undefined) return 1;
    // A replica lies on one node: it can't have more than the largest.
    const largest = Math.max(1, ...usable.map((node) => node.total.CPU ?? 0));
    const total = usable.reduce((sum, node) => sum + (node.total.CPU ?? 0), 0);
    return Math.max(1, Math.floor(Math.min(largest, total / (bound * resources.replicas))));
  }
  const shares = usable.flatMap((node) => {
    const nodeGpus = node.total.GPU ?? 0;
    const nodeCpus = node.total.CPU ?? 0;
    return nodeGpus >= Math.min(gpus, 1) && nodeCpus > 0 ? [(nodeCpus * gpus) / nodeGpus] : [];
  });
  if (shares.length === 0) return 1;
  const share = Math.min(...shares);
  return share >= 1 ? Math.floor(share) : Math.max(1, Math.floor(share * RAY_UNIT)) / RAY_UNIT;
}
