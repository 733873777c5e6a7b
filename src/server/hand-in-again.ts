/** An experiment that is handed in again before it has ended. */
import { describeDifference, differences, type Experiment } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { emptyState, planExtension } from "../run-folder/index.ts";
import type { ExperimentRecord } from "./queue-file.ts";

/**
 * Checks that it is the same, but for how it is run, which may have changed as long as it waits.
 * @throws DistmisError RUN_REFUSED with the differences
 */
export function checkHandedInAgain(record: ExperimentRecord, dir: string, experiment: Experiment): void {
  planExtension(dir, { ...emptyState(), experiment: record.experiment }, experiment, {});
  const [change] = record.state === "running" ? differences(record.experiment, experiment) : [];
  if (change === undefined) return;
  const what = `run ${record.run} is at work with other settings: ${describeDifference(change)}`;
  throw new DistmisError("RUN_REFUSED", `${what}; cancel it and hand it in again`);
}
