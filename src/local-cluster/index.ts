/** A Ray of one or several nodes on this machine, which lives on its own until it is stopped: to try out what a cluster does. */
export {
  connectionOf,
  findLocalCluster,
  type LocalCluster,
  localClusterDir,
  NODE_LABEL,
  type NodeStatus,
} from "./find.ts";
export { defaultNodes } from "./sizes.ts";
export { type LocalClusterOptions, type StartedCluster, startLocalCluster } from "./start.ts";
export type { LocalNode } from "./state.ts";
export { stopLocalCluster } from "./stop.ts";
