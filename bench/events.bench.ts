/**
 * Results a second, from 32 trainers on logical GPUs of a local Ray, through actors, shim and orchestrator to the journal: first
 * 10,000 a second in all, for the memory that this takes, then as many as they may. Counted while all of them report, and checked
 * against the journal: every report stands there.
 *   npm run bench -- events [--json]
 */
import { createReadStream } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { printer } from "./frame.ts";
import { memoryNow } from "./processes.ts";
import { type PlanEntry, runPlan, withCluster } from "./search.ts";

const GPUS = 32;
const RATE = 10_000;
const SAMPLE_MS = 500;

const phases: { seconds: number; rate?: number }[] = [{ seconds: 20, rate: RATE / GPUS }, { seconds: 15 }];
const plan: PlanEntry[] = phases.flatMap((phase, index) => [
  ...new Array<PlanEntry>(GPUS).fill(`gate-${index}`),
  ...new Array<PlanEntry>(GPUS).fill(phase),
]);

/** What was seen in a phase, while all of its trials report. */
const seen = phases.map(() => ({
  reporting: new Set<string>(),
  begin: 0,
  end: 0,
  reports: 0,
  orchestrator: 0,
  shim: 0,
}));
/** The phase of a trial; undefined for one that waits at a gate. */
const phaseOf = (trial: string) => {
  const index = Number(trial) - 1;
  return index % (2 * GPUS) < GPUS ? undefined : seen[Math.floor(index / (2 * GPUS))];
};
const isSteady = ({ begin, end }: { begin: number; end: number }): boolean => begin > 0 && end === 0;
let all = 0;

const sampler = setInterval(() => {
  const phase = seen.find(isSteady);
  if (phase === undefined) return;
  const now = memoryNow();
  phase.orchestrator = Math.max(phase.orchestrator, now.orchestrator);
  phase.shim = Math.max(phase.shim, now.shim);
}, SAMPLE_MS);
await withCluster(GPUS, async (cluster, dir) => {
  const runDir = await runPlan(cluster, { dir, name: "events", gpus: GPUS, plan }, (event) => {
    if (event.type !== "epoch" && event.type !== "trial_ended") return;
    if (event.type === "epoch") all++;
    const phase = phaseOf(event.trial);
    if (phase === undefined) return;
    if (event.type === "trial_ended") phase.end ||= performance.now();
    else if (isSteady(phase)) phase.reports++;
    else if (phase.begin === 0 && phase.reporting.add(event.trial).size === GPUS) phase.begin = performance.now();
  });
  clearInterval(sampler);
  let written = 0;
  for await (const line of createInterface({ input: createReadStream(path.join(runDir, "journal.jsonl")) })) {
    if (line.includes('"type":"epoch"')) written++;
  }
  if (written !== all) throw new Error(`${all} reports were told, ${written} stand in the journal`);
});

const print = printer(`results of ${GPUS} trainers, while all of them report`);
const plain = (name: string, value: number, unit: string): void =>
  print({ bench: "events", case: name, ours: value, peer: null, ratio: null, unit });
for (const [index, { begin, end, reports, orchestrator, shim }] of seen.entries()) {
  const paced = index === 0;
  const rate = reports / ((end - begin) / 1000);
  plain(paced ? `throughput, ${GPUS} workers, ${RATE} asked for` : `throughput, ${GPUS} workers`, rate, "a second");
  const when = paced ? "" : " at most throughput";
  plain(`memory, orchestrator${when}`, orchestrator, "MB at most");
  plain(`memory, shim${when}`, shim, "MB at most");
}
