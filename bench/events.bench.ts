/**
 * Results a second, from 32 trainers on logical GPUs of a local Ray that report as fast as they may, through actors, shim and
 * orchestrator to the journal. Counted while all of them report, and checked against the journal: every report stands there once.
 *   npm run bench -- events [--json]
 */
import { createReadStream } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { printer } from "./frame.ts";
import { memoryNow } from "./processes.ts";
import { type PlanEntry, runPlan, withCluster } from "./search.ts";

const GPUS = 32;
const SECONDS = 30;
const SAMPLE_MS = 500;

const wait: PlanEntry = "up";
const report: PlanEntry = { reports: SECONDS };
const plan = [...new Array(GPUS).fill(wait), ...new Array(GPUS).fill(report)];
const reporting = new Set<string>();
let all = 0;
let steady = 0;
let begin = 0;
let end = 0;
let orchestrator = 0;
let shim = 0;

const sampler = setInterval(() => {
  const now = memoryNow();
  orchestrator = Math.max(orchestrator, now.orchestrator);
  shim = Math.max(shim, now.shim);
}, SAMPLE_MS);
await withCluster(GPUS, async (cluster, dir) => {
  const runDir = await runPlan(cluster, { dir, name: "events", gpus: GPUS, plan }, (event) => {
    if (event.type === "trial_ended" && begin > 0 && end === 0) end = performance.now();
    if (event.type !== "epoch") return;
    all++;
    if (begin > 0 && end === 0) steady++;
    // Those that waited at the gate, then those that report.
    else if (begin === 0 && reporting.add(event.trial).size === 2 * GPUS) begin = performance.now();
  });
  clearInterval(sampler);
  let written = 0;
  for await (const line of createInterface({ input: createReadStream(path.join(runDir, "journal.jsonl")) })) {
    if (line.includes('"type":"epoch"')) written++;
  }
  if (written !== all) throw new Error(`${all} reports were told, ${written} stand in the journal`);
});

const print = printer(
  `results of ${GPUS} trainers that report as fast as they may, ${((end - begin) / 1000).toFixed(0)} s`,
);
const plain = (name: string, value: number, unit: string): void =>
  print({ bench: "events", case: name, ours: value, peer: null, ratio: null, unit });
plain(`throughput, ${GPUS} workers`, steady / ((end - begin) / 1000), "results a second");
plain("memory, orchestrator", orchestrator, "MB at most");
plain("memory, shim", shim, "MB at most");
