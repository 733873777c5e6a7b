/** Copies of data sets on the nodes' local disks. */
export { clearCommand, clearStaged } from "./clear-nodes.ts";
export { shardNames } from "./copy-shards.ts";
export { type StageOptions, stageShards, stagingRefusal } from "./stage.ts";
