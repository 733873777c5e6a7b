/** The end of a run whose trainers had local copies. */
import type { Cluster } from "../cluster/index.ts";
import { entryCommand, moduleUrl } from "../paths/index.ts";

/** A node that takes longer keeps its copy until the next run there. */
const CLEAR_SECONDS = 20;

/** The program that removes the copies that nobody uses from the node where it runs. */
export function clearCommand(base: string | undefined): string[] {
  return [...entryCommand(moduleUrl("staging/clear")), ...(base === undefined ? [] : [base])];
}

/** Removes the copies that nobody uses from all nodes. Never throws: what stays is removed by the next run of the user there. */
export async function clearStaged(cluster: Cluster, base: string | undefined): Promise<void> {
  await cluster
    .runOnNodes({ command: clearCommand(base), environment: {}, workingDirectory: "" }, CLEAR_SECONDS)
    .catch(() => {});
}
