/** The GPUs that a job has. */
import { hostNames, slurm } from "./commands.ts";

/** On one of its nodes. */
export interface HostGpus {
  count: number;
  /** The job asked for a sum (`--gpus`), and not for so many a node. */
  ofSum: boolean;
}

/**
 * How many it has on each of its nodes, by the names that SLURM has for those; empty where SLURM does not tell.
 * @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function jobGpus(job: string): Promise<ReadonlyMap<string, HostGpus>> {
  const found = new Map<string, HostGpus>();
  const text = await slurm("scontrol", ["show", "job", "-d", job]);
  const ofSum = /\bTresPerJob=\S*gpu/.test(text);
  for (const { nodes, count } of gpusOf(text)) {
    for (const name of await hostNames(nodes)) found.set(name, { count, ofSum });
  }
  return found;
}

/** Of lines as `Nodes=node[1-2] CPU_IDs=0-3 Mem=0 GRES=gpu:h100:2(IDX:0-1)`, which other things than GPUs may stand in. */
export function gpusOf(text: string): { nodes: string; count: number }[] {
  return [...text.matchAll(/^\s*Nodes=(\S+) .*?\bGRES=(\S*)/gm)].map(([, nodes = "", gres = ""]) => {
    const entries = gres.matchAll(/(?:^|,)gpu(?::[^:,()]+)?:(\d+)(?=[(,]|$)/g);
    return { nodes, count: [...entries].reduce((sum, [, count]) => sum + Number(count), 0) };
  });
}
