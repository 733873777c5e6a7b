/**
 * 10,000 trials of 100 ms each on 32 logical GPUs of a local Ray, workers already up: the makespan against the ideal, and whether
 * memory stays the same from the first thousand to the last. A trial waits and takes no CPU. The clock runs from the first of these
 * trials to the last one's end; before it, all 32 workers wait for each other.
 *   npm run bench -- many [--json]
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { compared, printer } from "./frame.ts";
import { type Memory, memoryNow } from "./processes.ts";
import { runPlan, withCluster } from "./search.ts";

const GPUS = 32;
const TRIALS = Number(process.env.DISTMIS_BENCH_TRIALS ?? 10_000);
const SECONDS = 0.1;

let started = 0;
let ended = 0;
let begin = 0;
let end = 0;
let early: Memory | null = null;
let late: Memory | null = null;
/** Of the orchestrator, right after a collection: what it keeps, without garbage that waits to be collected. */
const kept: number[] = [];

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");
function keptNow(): void {
  collect();
  kept.push(process.memoryUsage().heapUsed / 1e6);
}

const gates = Array.from({ length: GPUS }, () => "up");
const plan = [...gates, ...Array.from({ length: TRIALS }, () => SECONDS)];
await withCluster(GPUS, (cluster, dir) =>
  runPlan(cluster, { dir, name: "many", gpus: GPUS, plan }, (event) => {
    if (event.type === "trial_started" && ++started === GPUS + 1) begin = performance.now();
    if (event.type !== "trial_ended") return;
    ended++;
    end = performance.now();
    if (ended === GPUS + TRIALS / 10) {
      early = memoryNow();
      keptNow();
    }
    // While all workers still have trials: events come a moment after what they tell.
    if (ended === TRIALS - TRIALS / 50) {
      late = memoryNow();
      keptNow();
    }
  }),
);
const [keptEarly, keptLate] = kept;
if (early === null || late === null || keptEarly === undefined || keptLate === undefined)
  throw new Error("the search ended early");

const print = printer(`${TRIALS} trials of ${SECONDS * 1000} ms on ${GPUS} logical GPUs, workers already up`);
const ideal = (TRIALS * SECONDS) / GPUS;
print(compared("many", `makespan, ${TRIALS} trials, vs ideal`, (end - begin) / 1000, ideal, "s"));
const all = ({ orchestrator, shim, trainers }: Memory): number => orchestrator + shim + trainers;
const growth = (before: number, after: number): number => after / before - 1;
const plain = (name: string, ours: number, unit: string): void =>
  print({ bench: "many", case: name, ours, peer: null, ratio: null, unit });
plain("growth, memory", growth(all(early), all(late)), "fraction, first thousand to last");
for (const kind of ["orchestrator", "shim", "trainers"] as const) {
  plain(`growth, memory of ${kind}`, growth(early[kind], late[kind]), "fraction");
  plain(`memory, ${kind}`, late[kind], "MB");
}
const bytes = ((keptLate - keptEarly) * 1e6) / (TRIALS - TRIALS / 50 - GPUS - TRIALS / 10);
plain("memory of orchestrator that a trial keeps", bytes, "bytes");
