/** What a methods section says of a run, as far as its folder and its data set tell. */

import type { DatasetInfo } from "../data/index.ts";
import { readInfoIfAny } from "../data/index.ts";
import { modelVersions } from "../model-folder/index.ts";
import { type RunReading, readRun, runFiles } from "../run-folder/index.ts";

export interface RunFacts {
  reading: RunReading;
  /** Names of the nodes on which trials ran, and how many GPUs of them were used. */
  nodes: string[];
  gpus: number;
  /** The models of GPUs on which trials computed, or of CPUs; those that are known. */
  devices: string[];
  /** Of the programs by which the best model was made; null if the run has left none. */
  versions: Record<string, string> | null;
  /** Null if it is gone, or was not written by distmis. */
  data: DatasetInfo | null;
}

/** Errors: as readRun's. */
export async function factsOf(dir: string): Promise<RunFacts> {
  const nodes = new Set<string>();
  const gpus = new Set<string>();
  const devices = new Set<string>();
  const reading = await readRun(dir, (record) => {
    if (record.type !== "attempt_started") return;
    // Journals of old do not tell which node has which GPU, unless there is but one.
    const lone = record.nodes.length === 1 ? [{ node: record.nodes[0] ?? "", gpus: record.gpus }] : [];
    for (const worker of record.workers ?? lone) for (const gpu of worker.gpus) gpus.add(`${worker.node} ${gpu}`);
    for (const node of record.nodes) nodes.add(node);
    for (const { device } of record.workers ?? []) if (device) devices.add(device);
  });
  const data = reading.experiment.data?.dir;
  return {
    reading,
    nodes: [...nodes].toSorted(),
    gpus: gpus.size,
    devices: [...devices].toSorted(),
    versions: await modelVersions(runFiles.model(reading.dir)),
    data: data === undefined ? null : await readInfoIfAny(data).catch(() => null),
  };
}
