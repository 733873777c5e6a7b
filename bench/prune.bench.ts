/**
 * How soon a pruned trial's GPU works for the next one, on a warm trainer of a real Ray: from the report that decides to the first
 * step of the trial that comes next, and the two parts of it: to the end of the pruned trial, and from there on. Searches with
 * a grid, which has the next parameters at hand, and with Optuna's multivariate TPE, which draws them then.
 *   npm run bench -- prune [--json]
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Cluster, connect, defineExperiment, type ExperimentInput, runExperiment } from "../src/index.ts";
import { printer } from "./frame.ts";

/** Every second one is pruned. */
const TRIALS = 110;
/** The first ones warm everything up. */
const WARM_UP = 10;

const SEARCHES: Record<string, NonNullable<ExperimentInput["search"]>> = {
  grid: { space: { "trainer.parameters.x": { grid: Array.from({ length: TRIALS }, (_, index) => index) } } },
  tpe: {
    sampler: "tpe",
    space: {
      "trainer.parameters.x": { uniform: [0, 1] },
      "trainer.parameters.y": { log_uniform: [1e-5, 1] },
      "trainer.parameters.z": { integer: [1, 64] },
    },
  },
};

interface Moments {
  /** Milliseconds of one clock. */
  first: number;
  reported: number;
  stopped: number;
}

async function search(cluster: Cluster, name: string, folder: string): Promise<Moments[]> {
  const log = path.join(folder, `${name}.jsonl`);
  const experiment = defineExperiment({
    name,
    trainer: { module: path.join(import.meta.dirname, "prune-task.mjs"), parameters: { log } },
    search: {
      limits: { trials: TRIALS },
      pruner: { kind: "median", startup_trials: 1 },
      ...SEARCHES[name],
    },
    resources: { cpus_per_replica: 1, gpus_per_replica: 1, max_concurrent_trials: 1 },
  });
  const run = runExperiment(cluster, experiment, { runDir: path.join(folder, name) });
  let pruned = 0;
  for await (const event of run) {
    if (event.type === "trial_ended" && event.state === "pruned") pruned++;
    if (event.type === "trial_ended" && event.state === "failed") throw new Error(event.error ?? "failed");
  }
  if (pruned !== TRIALS / 2) throw new Error(`${pruned} of ${TRIALS / 2} trials were pruned`);
  const lines = (await readFile(log, "utf8")).trim().split("\n");
  return lines.map((line): Moments => JSON.parse(line));
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

const folder = await mkdtemp(path.join(os.tmpdir(), "distmis-prune-"));
const print = printer(`${(TRIALS - WARM_UP) / 2} prunings on one warm trainer`);
try {
  const cluster = await connect({ gpus: 1, cpus: 1 });
  try {
    for (const name of Object.keys(SEARCHES)) {
      const moments = await search(cluster, name, folder);
      const parts = { "report to next trial": [], "report to end": [], "end to next trial": [] } as Record<
        string,
        number[]
      >;
      for (const [index, { reported, stopped }] of moments.entries()) {
        const next = moments[index + 1];
        if (index % 2 === 0 || index < WARM_UP || next === undefined) continue;
        parts["report to next trial"]?.push(next.first - reported);
        parts["report to end"]?.push(stopped - reported);
        parts["end to next trial"]?.push(next.first - stopped);
      }
      for (const [part, times] of Object.entries(parts)) {
        for (const [label, share] of Object.entries({ p50: 0.5, p95: 0.95 })) {
          const result = { bench: "prune", case: `${label} from ${part}, ${name}`, ours: quantile(times, share) };
          print({ ...result, peer: null, ratio: null, unit: "ms" });
        }
      }
    }
  } finally {
    await cluster.close();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
