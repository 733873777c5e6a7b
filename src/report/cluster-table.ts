/** The nodes of a local cluster for the terminal. */
import Table from "cli-table3";
import type { NodeStatus } from "../local-cluster/index.ts";

/** @param free what is free of each node by its number, where that is known; no newline at the end */
export function clusterTable(
  nodes: readonly NodeStatus[],
  free: ReadonlyMap<number, Readonly<Record<string, number>>>,
): string {
  const table = new Table({
    head: ["node", "state", "CPUs", "GPUs"],
    colAligns: ["left", "left", "right", "right"],
    // The library's colours would end up in files.
    style: { head: [], border: [], "padding-left": 1, "padding-right": 1, compact: true },
  });
  for (const [number, { alive, cpus, gpus }] of nodes.entries()) {
    const left = alive ? free.get(number) : undefined;
    const amount = (name: string, all: number): string =>
      left === undefined ? String(all) : `${left[name] ?? 0} of ${all} free`;
    const name = number === 0 ? "0 (head)" : String(number);
    table.push([name, alive ? "alive" : "dead", amount("CPU", cpus), amount("GPU", gpus)]);
  }
  return table.toString();
}
