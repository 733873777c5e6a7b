/** The SLURM job in which this process runs, from the environment that SLURM gives it (sbatch(1), "OUTPUT ENVIRONMENT VARIABLES"). */
import { DistmisError } from "../errors/index.ts";
import { type HostGpus, hostNames, jobGpus } from "../slurm/index.ts";

export interface Host {
  /** As SLURM calls the node. */
  name: string;
  /** CPUs that the job has there. */
  cpus: number;
  /** GPUs that it has there; null where that is not known, see {@link withGpus}. */
  gpus: HostGpus | null;
}

export interface Allocation {
  jobId: string;
  /** At least one; the first is the one where a batch script runs. */
  hosts: Host[];
  /** How often the job was started again, by whomever. */
  restarts: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether this process runs in a job. */
export function inAllocation(environment: Environment = process.env): boolean {
  return Boolean(environment.SLURM_JOB_ID && environment.SLURM_JOB_NODELIST);
}

/** @throws DistmisError CLUSTER_UNAVAILABLE outside of a job, SLURM_FAILED, SETUP_INCOMPLETE */
export async function findAllocation(environment: Environment = process.env): Promise<Allocation> {
  const { SLURM_JOB_ID: jobId, SLURM_JOB_NODELIST: list } = environment;
  if (!jobId || !list) {
    throw new DistmisError(
      "CLUSTER_UNAVAILABLE",
      "--ray-address slurm: this process runs in no SLURM job (SLURM_JOB_ID is not set); use `distmis submit`, or start it in `salloc` or a batch script",
    );
  }
  if (environment.SLURM_HET_SIZE !== undefined) {
    throw new DistmisError(
      "CLUSTER_UNAVAILABLE",
      `job ${jobId} is a heterogeneous job of ${environment.SLURM_HET_SIZE} components; expected one component (its nodes may differ from each other)`,
    );
  }
  const names = await hostNames(list);
  const cpus = expandCounts(environment.SLURM_JOB_CPUS_PER_NODE ?? "");
  if (names.length === 0 || names.length !== cpus.length) {
    throw new DistmisError(
      "SLURM_FAILED",
      `job ${jobId}: SLURM_JOB_CPUS_PER_NODE=${environment.SLURM_JOB_CPUS_PER_NODE} does not tell the CPUs of its ${names.length} nodes (${list})`,
    );
  }
  return {
    jobId,
    hosts: names.map((name, index) => ({ name, cpus: cpus[index] ?? 1, gpus: null })),
    restarts: Number(environment.SLURM_RESTART_COUNT ?? 0) + Number(environment.DISTMIS_RESTARTS ?? 0),
  };
}

/**
 * The job of this process, as SLURM's programs take it; null outside of one. The task of an array that has the array's own number is
 * not named by that alone, which means all tasks. Variables of an array may be inherited from another job.
 */
export function ownJob(): string | null {
  const { SLURM_JOB_ID: job, SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: task } = process.env;
  return job !== undefined && job === array && task !== undefined ? `${array}_${task}` : (job ?? null);
}

/** The same, with the GPUs of each host where SLURM tells of them. */
export async function withGpus(allocation: Allocation): Promise<Allocation> {
  const gpus = await jobGpus(ownJob() ?? allocation.jobId).catch((): ReadonlyMap<string, HostGpus> => new Map());
  return { ...allocation, hosts: allocation.hosts.map((host) => ({ ...host, gpus: gpus.get(host.name) ?? null })) };
}

/** SLURM's short form of a list of counts: "8(x3),4" is 8, 8, 8, 4. Empty if it is none. */
export function expandCounts(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [, count, times = "1"] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part) ?? [];
    return count === undefined ? [] : Array.from({ length: Number(times) }, () => Number(count));
  });
}
