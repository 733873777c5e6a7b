/** The end of a job whose first node is lost, and with it the search: it would hold its other nodes until its time limit. */
import { setTimeout as delay } from "node:timers/promises";
import { isPassing, jobHosts, slurm } from "../slurm/index.ts";
import { ownJob } from "./allocation.ts";

/** SLURM finds a node dead after SlurmdTimeout, 300 s by default; then it is no node of a job of `--no-kill` any more. */
const [LONGEST_MILLISECONDS, BETWEEN_MILLISECONDS] = [480_000, 15_000];

/**
 * Run by an agent that nobody talks to any more: puts the job back into the queue, or ends it, once SLURM says that its first node is
 * gone. Of several agents, the one on the first node that is left does it. Does nothing if the node comes back, or `over` aborts.
 * @param requeue whether it may be put back
 */
export async function endOrphan(requeue: boolean, over: AbortSignal): Promise<void> {
  const job = ownJob();
  const end = performance.now() + LONGEST_MILLISECONDS;
  let isRefused = !requeue;
  while (job !== null && !over.aborted && performance.now() < end) {
    const found = await jobHosts(job).catch(() => null);
    if (over.aborted) return;
    if (found !== null) {
      const { isBatch, state, batchHost, hosts } = found;
      if (!isBatch || state !== "RUNNING" || batchHost === "") return;
      if (!hosts.includes(batchHost)) {
        if (hosts[0] !== process.env.SLURMD_NODENAME) return;
        try {
          await (isRefused ? slurm("scancel", [job]) : slurm("scontrol", ["requeue", job]));
          return;
        } catch (error) {
          // Where it is not known what became of the job, the next look tells.
          isRefused ||= !isPassing(error);
        }
      }
    }
    await delay(BETWEEN_MILLISECONDS, undefined, { signal: over }).catch(() => {});
  }
}
