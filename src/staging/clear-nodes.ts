/** The end of a run whose trainers had local copies. */
import type { Cluster } from "../cluster/index.ts";
import { entryCommand, moduleUrl } from "../paths/index.ts";

/** A node that takes longer keeps its copy until the next run there. */
const CLEAR_SECONDS = 20;

/** Removes the copies that nobody uses from all nodes. Never throws: what stays is removed by the next run of the user there. */
export async function clearStaged(cluster: Cluster, base: string | undefined): Promise<void> {
  const command = [...entryCommand(moduleUrl("staging/clear")), ...(base === undefined ? [] : [base])];
  await cluster.runOnNodes({ command, environment: {}, workingDirectory: "" }, CLEAR_SECONDS).catch(() => {});
}
