/** What may die, and how it is found among the processes of this machine. */
import { markedProcesses } from "../../test/support/marked-processes.ts";
import type { RayNodes } from "../../test/support/ray-nodes.ts";

/** `head`: the GCS or the raylet of Ray's head node, with which the cluster ends; `raylet`: that of the other node. */
export const KINDS = ["trainer", "actor", "raylet", "head", "shim", "orchestrator"] as const;
export type Kind = (typeof KINDS)[number];

/** The last node of the cluster is the one that comes and goes. */
export const WORKER_NODE = 1;

/**
 * Ids of the living processes of a kind.
 * @param mark of the orchestrator's processes
 * @param orchestrator its id, if it runs
 */
export function victims(kind: Kind, ray: RayNodes, mark: string, orchestrator: number | null): number[] {
  const everywhere = (): string[] => [...ray.processes(0), ...ray.processes(WORKER_NODE)];
  const ids = (lines: readonly string[], pattern: RegExp): number[] =>
    lines.filter((line) => pattern.test(line)).map((line) => Number(line.split(" ")[0]));
  switch (kind) {
    case "trainer":
      return ids(everywhere(), /^\d+ \S*node .*trainer\/main\./);
    case "actor":
      return ids(everywhere(), /^\d+ ray::Worker/);
    case "raylet":
      return ids(ray.processes(WORKER_NODE), /\/raylet\/raylet /);
    case "head":
      return ids(ray.processes(0), /\/raylet\/raylet |\/gcs\/gcs_server /);
    case "shim":
      return ids(markedProcesses(mark), /-m distmis_shim /);
    case "orchestrator":
      return orchestrator === null ? [] : [orchestrator];
  }
}
