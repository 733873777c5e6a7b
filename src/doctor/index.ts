/** What of distmis's surroundings is there, on this machine or on all nodes of a cluster, and what to do about what is not. */
export { type ClusterFindings, compareNodes, type NodeFindings, needsDoing, type SilentNode } from "./compare-nodes.ts";
export { unseenGpus } from "./devices.ts";
export { examine } from "./examine.ts";
export { examineCluster } from "./examine-cluster.ts";
export type { Finding } from "./finding.ts";
