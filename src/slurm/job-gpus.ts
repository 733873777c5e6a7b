/** The GPUs that a job has. */
import { slurm } from "./commands.ts";

/**
 * How many it has on each of its nodes, by the names that SLURM has for those; empty where SLURM does not tell.
 * @throws DistmisError SLURM_FAILED, SETUP_INCOMPLETE
 */
export async function jobGpus(job: string): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const { nodes, gpus } of gpusOf(await slurm("scontrol", ["show", "job", "-d", job]))) {
    const names = nodes.includes("[") ? await slurm("scontrol", ["show", "hostnames", nodes]) : nodes;
    for (const name of names.split("\n")) if (name !== "") counts.set(name, gpus);
  }
  return counts;
}

/** Of lines as `Nodes=node[1-2] CPU_IDs=0-3 Mem=0 GRES=gpu:h100:2(IDX:0-1)`, which other things than GPUs may stand in. */
export function gpusOf(text: string): { nodes: string; gpus: number }[] {
  return [...text.matchAll(/^\s*Nodes=(\S+) .*?\bGRES=(\S*)/gm)].map(([, nodes = "", gres = ""]) => {
    const found = gres.matchAll(/(?:^|,)gpu(?::[^:,()]+)?:(\d+)(?=[(,]|$)/g);
    return { nodes, gpus: [...found].reduce((sum, [, count]) => sum + Number(count), 0) };
  });
}
