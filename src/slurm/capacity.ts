import { DistmisError } from "../errors/index.ts";
import type { JobSettings } from "./settings.ts";

/** What trials need at least, as far as it is known before they run. */
export interface Need {
  /** Of the largest trial. */
  replicas: number;
  gpusPerReplica: number;
  cpusPerReplica: number | "auto";
}

/**
 * Whether nodes of a job can ever hold its trials: what would only show after hours in the queue.
 * @throws DistmisError CONFIG_INVALID
 */
export function checkCapacity({ replicas, gpusPerReplica, cpusPerReplica }: Need, settings: JobSettings): void {
  const { nodes, gpusPerNode, cpusPerNode } = settings;
  const refuse = (need: string, there: string): never => {
    throw new DistmisError(
      "CONFIG_INVALID",
      `a trial needs ${need}, and the job has ${there}; ask for more, or lower resources.replicas, resources.gpus_per_replica or resources.cpus_per_replica`,
    );
  };
  // A replica is on one node, and shares a GPU only with whole replicas.
  const onNode = (each: number, of: number): number =>
    each < 1 ? Math.floor(of) * Math.floor(1 / each) : Math.floor(of / each);
  if (gpusPerReplica > 0 && onNode(gpusPerReplica, gpusPerNode) * nodes < replicas)
    refuse(`${replicas} x ${gpusPerReplica} GPUs`, `${nodes} x ${gpusPerNode}`);
  if (cpusPerReplica !== "auto" && cpusPerNode !== null && Math.floor(cpusPerNode / cpusPerReplica) * nodes < replicas)
    refuse(`${replicas} x ${cpusPerReplica} CPUs`, `${nodes} x ${cpusPerNode}`);
}
