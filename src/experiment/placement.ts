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

/** Ray counts resources in ten-thousandths. */
const RAY_UNIT = 1e4;

export interface Placement {
  request: GangRequest;
  /** How many such gangs the idle cluster holds, bounded by max_concurrent_trials; at least 1. */
  capacity: number;
}

/** What to ask for and how often it fits. Throws PLACEMENT_REFUSED, saying what is missing, if it never does. */
export async function planPlacement(cluster: Cluster, resources: ResourcesConfig): Promise<Placement> {
  const { gpus_per_replica: gpus, max_concurrent_trials: bound } = resources;
  const auto = resources.cpus_per_replica === "auto";
  const cpus =
    resources.cpus_per_replica === "auto"
      ? autoCpus((await cluster.describe()).nodes, resources)
      : resources.cpus_per_replica;
  const request: GangRequest = {
    replicas: resources.replicas,
    perReplica: {
      gpus,
      cpus,
      memoryBytes: resources.memory_per_replica,
      custom: resources.custom,
      nodeLabels: resources.node_labels,
    },
    strategy: STRATEGIES[resources.strategy],
  };
  const { gangsInTotal, missing } = await cluster.check(request);
  if (gangsInTotal === 0) {
    const asked = `${resources.replicas} x (${gpus} GPU, ${cpus} CPU${auto ? " by cpus_per_replica: auto" : ""})`;
    const hint =
      gpus > 0
        ? "on a Ray that distmis starts, --gpus N declares N GPUs, real or logical; --set resources.gpus_per_replica=0 does without"
        : "ask for less in the experiment's resources";
    throw new DistmisError("PLACEMENT_REFUSED", `the cluster can't hold one trial, ${asked}: ${missing}; ${hint}`);
  }
  return { request, capacity: Math.min(gangsInTotal, bound ?? gangsInTotal) };
}

/**
 * `cpus_per_replica: auto`: the share of a node's CPUs that belongs to a replica's share of its GPUs, on the node where
 * that is least. Whole CPUs, but where a node has fewer CPUs than GPUs a fraction, so that no GPU stays idle. Without
 * GPUs: the cluster's CPUs over max_concurrent_trials if that is given, else 1.
 */
export function autoCpus(nodes: readonly Node[], resources: ResourcesConfig): number {
  const { gpus_per_replica: gpus, max_concurrent_trials: bound, node_labels: labels } = resources;
  const usable = nodes.filter(
    (node) => node.alive && Object.entries(labels).every(([name, value]) => node.labels[name] === value),
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
