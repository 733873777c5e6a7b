/** The end of a local cluster: of the processes that were started for it, and of no others. */
import { endMarked } from "../ray-node/index.ts";
import { findLocalCluster, localClusterDir, markText } from "./find.ts";
import { emptyFolder, withFolder } from "./folder.ts";
import { type ClusterState, readState } from "./state.ts";

/** Ray ends its processes in this time when it is asked to, or they are killed. */
const GRACE_MILLISECONDS = 5_000;

/**
 * Ends the local cluster in `dir` with whatever runs on it, and removes its folder. Returns how many of its nodes were alive;
 * null if there was no cluster.
 * @throws DistmisError RUN_REFUSED if it is being started or stopped by another process, CLUSTER_UNAVAILABLE
 */
export async function stopLocalCluster(dir = localClusterDir()): Promise<number | null> {
  const before = await findLocalCluster(dir);
  if (before === null) return null;
  return withFolder(dir, async () => {
    const state = await readState(dir);
    if (state !== null) await endProcesses(state);
    await emptyFolder(dir);
    return before.nodes.filter(({ alive }) => alive).length;
  });
}

/** Ends every process of a cluster, in peace if that goes fast. */
export async function endProcesses({ nodes, mark }: ClusterState): Promise<void> {
  const marks = nodes.map((_, number) => markText(mark, number));
  await endMarked(marks, GRACE_MILLISECONDS);
}
