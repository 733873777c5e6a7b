/**
 * A real training for the input benchmark, by the trainer's task in this process: prints the share of each epoch that it waited
 * for data, as its log says it, and the peak memory. Argument: the trial's configuration as JSON.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { trialConfigSchema } from "../src/config/index.ts";
import trainTask from "../src/trainer/tasks/train.ts";

const config = trialConfigSchema.parse(JSON.parse(process.argv[2] ?? ""));
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-input-trial-"));
const shares: number[] = [];
const print = console.log;
console.log = (line: unknown) => {
  const [, waited, of] = /waited ([\d.]+) s of ([\d.]+) s/.exec(String(line)) ?? [];
  if (of) shares.push(Number(waited) / Number(of));
};
const seconds: number[] = [];
try {
  await trainTask.run({
    trialId: "input",
    attempt: 1,
    config,
    taskInput: null,
    reportedEpoch: 0,
    dir,
    rank: 0,
    replicas: 1,
    addresses: [],
    threads: Number(process.env.DISTMIS_CPUS),
    shared: new Map(),
    stopRequested: () => false,
    report: async (report) => void seconds.push(report.seconds),
  });
} finally {
  fs.rmSync(dir, { recursive: true, force: true });
}
if (shares.length !== config.train.epochs) throw new Error(`the log tells of ${shares.length} epochs`);
const waited = shares.reduce((sum, share, epoch) => sum + share * (seconds[epoch] ?? Number.NaN), 0);
const all = seconds.reduce((sum, own) => sum + own, 0);
print(JSON.stringify({ seconds, share: waited / all, shares, peakMegabytes: process.resourceUsage().maxRSS / 1000 }));
