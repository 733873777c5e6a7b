/** Trials of the tasks train and evaluate on a phantom, in this process. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import { type ExperimentInput, experimentSchema, trialConfigSchema } from "../../../src/config/index.ts";
import { makePhantom } from "../../../src/phantom/index.ts";
import { writeTfrecords } from "../../../src/prepare/index.ts";
import type { EpochReport, TrialContext } from "../../../src/trainer/task.ts";

/** Names of the files in a trial's folder of checkpoints, but for those of keep_best. */
export const NAMES = ["best.safetensors", "last.safetensors", "previous.safetensors"];

/** Folder of the tests of this process; made before them, removed after them. */
export let dir = "";
/** Of one warm trainer. */
const shared = new Map<string, unknown>();
export const dataset = () => path.join(dir, "tfrecords");

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-train-"));
  await makePhantom({ targetDir: path.join(dir, "msd"), count: 10, shape: [16, 24, 16], seed: 3 });
  await writeTfrecords({ sourceDir: path.join(dir, "msd"), targetDir: dataset(), split: [0.6, 0.2, 0.2] });
});

after(() => fs.rmSync(dir, { recursive: true, force: true }));

export function trialConfig(train: ExperimentInput["train"], model: ExperimentInput["model"] = {}, data: object = {}) {
  const { search, failure, ...config } = experimentSchema.parse({
    name: "test",
    data: { dir: dataset(), ...data },
    model: { filters: 4, depth: 2, groups: 2, ...model },
    train,
  });
  return trialConfigSchema.parse(config);
}

type Config = ReturnType<typeof trialConfig>;

/** A trial as the trainer process would hand it over; `stopAfter` reports, it asks to stop. */
export function trialIn(
  name: string,
  config: Config,
  options: { stopAfter?: number; input?: unknown; reportedEpoch?: number } = {},
) {
  const folder = path.join(dir, "trials", name);
  fs.mkdirSync(folder, { recursive: true });
  const reports: EpochReport[] = [];
  const trial: TrialContext = {
    trialId: name,
    attempt: 1,
    config,
    taskInput: options.input ?? null,
    reportedEpoch: options.reportedEpoch ?? Number.POSITIVE_INFINITY,
    dir: folder,
    rank: 0,
    replicas: 1,
    addresses: [],
    threads: 2,
    shared,
    stopRequested: () => reports.length >= (options.stopAfter ?? Number.POSITIVE_INFINITY),
    report: async (report) => {
      reports.push(report);
    },
  };
  return { trial, reports, folder };
}

export const metricsOf = (reports: EpochReport[]) => reports.map(({ epoch, metrics }) => ({ epoch, ...metrics }));
