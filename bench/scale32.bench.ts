/**
 * The replay of two searches, 32 and 96 trials of trial-durations.json, on 1 to 32 logical GPUs of a local Ray, by trials that only
 * wait: the makespan against greedy list scheduling (each trial in the order of submission to the GPU that is free first), and the
 * speed-up over one GPU. Workers are already up: before each search each of them has had a trial, and then all wait for each other.
 *   npm run bench -- scale32 [--json]
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { compared, printer } from "./frame.ts";
import { type PlanEntry, runPlan, withCluster } from "./search.ts";

const COUNTS = [1, 2, 4, 8, 16, 32];
/** Seconds of a trial of duration 1. */
const SCALE = 1;

const file = path.join(import.meta.dirname, "trial-durations.json");
const durations: { trials_32: number[]; trials_96: number[] } = JSON.parse(await readFile(file, "utf8"));
const searches = [durations.trials_32, durations.trials_96].map((trials) => trials.map((each) => each * SCALE));

function greedy(trials: readonly number[], gpus: number): number {
  const free: number[] = new Array(gpus).fill(0);
  for (const trial of trials) {
    const first = free.indexOf(Math.min(...free));
    free[first] = (free[first] ?? 0) + trial;
  }
  return Math.max(...free);
}

/** The makespans of the searches, from the start of the first trial to the end of the last. */
async function makespans(gpus: number): Promise<number[]> {
  const plan: PlanEntry[] = [];
  const searchOf = new Map<string, number>();
  for (const [search, trials] of searches.entries()) {
    // Two, as the end of a process's first trial runs code for the first time: 10 ms, which 32 processes on 2 CPUs take at once.
    for (const gate of ["warm", "gate"]) plan.push(...Array.from({ length: gpus }, () => `${gate}-${search}`));
    for (const seconds of trials) searchOf.set(String(plan.push(seconds)).padStart(4, "0"), search);
  }
  const begins: number[] = [];
  const ends: number[] = [];
  await withCluster(gpus, (cluster, dir) =>
    runPlan(cluster, { dir, name: "scale", gpus, plan }, (event) => {
      if (event.type !== "trial_started" && event.type !== "trial_ended") return;
      const search = searchOf.get(event.trial);
      if (search === undefined) return;
      if (event.type === "trial_started") begins[search] ??= performance.now();
      else ends[search] = performance.now();
    }),
  );
  return searches.map((_, search) => ((ends[search] ?? Number.NaN) - (begins[search] ?? Number.NaN)) / 1000);
}

const print = printer(
  `replayed searches, a trial of duration 1 takes ${SCALE} s, workers already up, vs greedy list scheduling`,
);
const rows: { trials: number; gpus: number; speedUp: number; greedy: number }[] = [];
for (const gpus of COUNTS) {
  const times = await makespans(gpus);
  for (const [search, trials] of searches.entries()) {
    const [makespan = Number.NaN, ideal] = [times[search], greedy(trials, gpus)];
    const name = `makespan, ${trials.length} trials on ${gpus} ${gpus === 1 ? "GPU" : "GPUs"}, vs greedy`;
    print(compared("scale32", name, makespan, ideal, "s"));
    const alone = greedy(trials, 1);
    rows.push({ trials: trials.length, gpus, speedUp: alone / makespan, greedy: alone / ideal });
  }
}
if (!process.argv.includes("--json")) {
  for (const { length } of searches) {
    console.log(`\nspeed-up of ${length} trials over one after the other (greedy scheduling: |)`);
    for (const row of rows.filter(({ trials }) => trials === length)) {
      const bar = "█".repeat(Math.round(row.speedUp)).padEnd(Math.round(row.greedy));
      console.log(
        `${String(row.gpus).padStart(3)} GPUs  ${bar}|  ${row.speedUp.toFixed(2)} of ${row.greedy.toFixed(2)}`,
      );
    }
  }
}
