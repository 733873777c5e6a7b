/** Small real trials: a phantom's TFRecords and assignments of the task "train" on them. */
import fs from "node:fs";
import path from "node:path";
import { type ExperimentInput, experimentSchema, trialConfigSchema } from "../../src/config/index.ts";
import { makePhantom } from "../../src/phantom/index.ts";
import { writeTfrecords } from "../../src/prepare/index.ts";
import type { ToTrainerMessage } from "../../src/wire/index.ts";
import { assignment } from "./trainer.ts";

/** Writes the TFRecords of a tiny phantom below `dir`; returns their folder. */
export async function tinyRecords(
  dir: string,
  count = 6,
  shape: readonly [number, number, number] = [8, 8, 8],
  split: [number, number, number] = [0.6, 0.4, 0],
): Promise<string> {
  const records = path.join(dir, "tfrecords");
  await makePhantom({ targetDir: path.join(dir, "msd"), count, shape, seed: 3 });
  await writeTfrecords({ sourceDir: path.join(dir, "msd"), targetDir: records, split });
  return records;
}

export interface TinyTrial {
  model?: ExperimentInput["model"];
  train?: ExperimentInput["train"];
}

/** A trial of the task "train" in the folder `trialDir`, which is made. */
export function trainAssignment(records: string, trialDir: string, { model, train }: TinyTrial): ToTrainerMessage {
  fs.mkdirSync(trialDir, { recursive: true });
  const { search, failure, ...config } = experimentSchema.parse({
    name: "tiny",
    data: { dir: records },
    model: { filters: 4, depth: 2, groups: 2, ...model },
    train: { epochs: 1, ...train },
  });
  return assignment("train", trialDir, {
    trialId: path.basename(trialDir),
    // Above all epochs: of several replicas rank 0 alone reports again what the run does not know.
    reportedEpoch: 1_000_000,
    configJson: JSON.stringify(trialConfigSchema.parse(config)),
  });
}
