/** A Ray over the nodes of a SLURM allocation: from `srun` to a cluster that can be used, and to the end of all of it. */
export { type Allocation, findAllocation, inAllocation, ownJob } from "./allocation.ts";
export { type AllocationRay, type BringUpOptions, bringUp } from "./bring-up.ts";
export { startOnFirstNode } from "./first-node.ts";
export { isPreempted, ownBatchScript, putBackInQueue, type Successor } from "./requeue.ts";
