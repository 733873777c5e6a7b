/** The data set of a trial, as the trainer keeps it from trial to trial. */
import { type DatasetInfo, readInfo } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { type DataSet, openDataSet } from "../pipeline/index.ts";
import { collectGarbage } from "./collect-garbage.ts";
import type { TrialContext } from "./task.ts";

export interface TrialData {
  dir: string;
  info: DatasetInfo;
  volumes: DataSet;
}

/** Errors: CONFIG_INVALID if none is named; see {@link readInfo}. */
export async function openTrialData({ config, shared, threads }: TrialContext): Promise<TrialData> {
  if (!config.data) throw new DistmisError("CONFIG_INVALID", "data.dir is missing: name the folder of TFRecords");
  const { dir, cache_gigabytes } = config.data;
  const info = await readInfo(dir);
  const budget = cache_gigabytes * 2 ** 30;
  const volumes = await openDataSet({ dir, info, shared, budget, threads, onLetGo: collectGarbage });
  return { dir, info, volumes };
}
