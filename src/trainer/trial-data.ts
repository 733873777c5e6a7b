/** The data set of a trial, as the trainer keeps it from trial to trial. */
import fs from "node:fs";
import { type DatasetInfo, readInfo } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { type DataSet, fingerprintOf, openDataSet } from "../pipeline/index.ts";
import { shardNames, stageShards } from "../staging/index.ts";
import { collectGarbage } from "./collect-garbage.ts";
import type { TrialContext } from "./task.ts";

export interface TrialData {
  dir: string;
  info: DatasetInfo;
  volumes: DataSet;
}

/** The owner's name in the memory that outlives a trial. */
const KEY = "staging";

/** Errors: CONFIG_INVALID if none is named; see {@link readInfo} and {@link stageShards}. */
export async function openTrialData(trial: TrialContext): Promise<TrialData> {
  const { config, shared, threads } = trial;
  if (!config.data) throw new DistmisError("CONFIG_INVALID", "data.dir is missing: name the folder of TFRecords");
  const { dir, cache_gigabytes } = config.data;
  const info = await readInfo(dir);
  const copy = await copyOf(trial, dir, info);
  const budget = cache_gigabytes * 2 ** 30;
  const volumes = await openDataSet({ dir, copy, info, shared, budget, threads, onLetGo: collectGarbage });
  return { dir, info, volumes };
}

/** What was decided for the data set that this trainer had last. */
interface Staged {
  /** Which data set, and how it is to be staged. */
  asked: string;
  folder: string;
}

/** The folder to read shards from: a local copy where one is asked for and can be had. Decided once a data set. */
async function copyOf(trial: TrialContext, dir: string, info: DatasetInfo): Promise<string> {
  const { config, shared } = trial;
  const stage = config.data?.stage;
  if (stage === undefined) return dir;
  const fingerprint = await fingerprintOf(dir, info);
  const asked = `${fingerprint} ${JSON.stringify(stage)}`;
  const known = shared.get(KEY) as Staged | undefined;
  // What cleans up a node's disk may have taken it.
  if (known?.asked === asked && fs.existsSync(known.folder)) return known.folder;
  const folder = await stageShards({
    dir,
    fingerprint,
    files: shardNames(info),
    base: stage.dir,
    limit: stage.limit_gigabytes * 1e9,
    stop: () => trial.stopRequested(),
    say: (text) => console.log(text),
  });
  if (!trial.stopRequested()) shared.set(KEY, { asked, folder } satisfies Staged);
  return folder;
}
