/**
 * One small real search on four logical GPUs, divided between trials and replicas in four ways: what the paper of DistMIS is about.
 * Volumes a replica and epochs are the same in all of them, as in DistMIS; the time is that of the whole search, from the start of
 * its workers on a Ray that runs to the last trial's end.
 *   npm run bench -- modes [--json]
 */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Cluster, connect, defineExperiment, makePhantom, runExperiment, writeTfrecords } from "../src/index.ts";
import { median, printer } from "./frame.ts";

const GPUS = 4;
const ROUNDS = 2;
const EPOCHS = 4;
const RATES = [5e-4, 1e-3, 2e-3, 4e-3, 6e-3, 8e-3, 1e-2, 2e-2];

/** A part of the GPUs, and the trials that it gets. */
interface Share {
  gpus: number;
  replicas: number;
  rates: readonly number[];
}

const whole = (replicas: number): Share[] => [{ gpus: GPUS, replicas, rates: RATES }];
const MODES: Record<string, Share[]> = {
  "4 x 1": whole(1),
  "2 x 2": whole(2),
  "1 x 2 and 2 x 1": [
    { gpus: 2, replicas: 2, rates: RATES.filter((_, index) => index % 2 === 0) },
    { gpus: 2, replicas: 1, rates: RATES.filter((_, index) => index % 2 === 1) },
  ],
  "1 x 4": whole(4),
};

interface Outcome {
  seconds: number;
  /** The best validation Dice of any trial. */
  dice: number;
}

async function search(cluster: Cluster, name: string, records: string, shares: Share[], runs: string) {
  const start = performance.now();
  const found = await Promise.all(
    shares.map(async ({ gpus, replicas, rates }, index) => {
      const experiment = defineExperiment({
        name: `modes-${index}`,
        data: { dir: records },
        model: { filters: 8, depth: 2, norm: "group" },
        train: { epochs: EPOCHS, batch_size_per_replica: 1, scale_learning_rate: "linear", sync: true, previews: 0 },
        search: { space: { "train.learning_rate": { grid: [...rates] } } },
        resources: { replicas, gpus_per_replica: 1, cpus_per_replica: 1, max_concurrent_trials: gpus / replicas },
      });
      const run = runExperiment(cluster, experiment, { runDir: path.join(runs, `${name}-${index}`) });
      for await (const event of run) {
        if (event.type === "trial_ended" && event.state !== "completed") throw new Error(event.error ?? event.state);
      }
      return (await run.results).best?.best?.value ?? Number.NaN;
    }),
  );
  return { seconds: (performance.now() - start) / 1000, dice: Math.max(...found) } satisfies Outcome;
}

const folder = await mkdtemp(path.join(os.tmpdir(), "distmis-modes-"));
const outcomes = new Map<string, Outcome[]>();
try {
  const [source, records] = [path.join(folder, "msd"), path.join(folder, "tfrecords")];
  await makePhantom({ targetDir: source, count: 24, shape: [32, 32, 32], seed: 1 });
  await writeTfrecords({ sourceDir: source, targetDir: records, split: [0.67, 0.33, 0] });
  // As many CPUs as replicas, whatever the machine has: each computes with one thread, in every mode.
  const cluster = await connect({ gpus: GPUS, cpus: GPUS });
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const [mode, shares] of Object.entries(MODES)) {
        const name = `${round}-${mode.replaceAll(" ", "")}`;
        const outcome = await search(cluster, name, records, shares, path.join(folder, "runs"));
        outcomes.set(mode, [...(outcomes.get(mode) ?? []), outcome]);
      }
    }
  } finally {
    await cluster.close();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

const print = printer(`${RATES.length} trials of ${EPOCHS} epochs on ${GPUS} logical GPUs, trials at once x replicas`);
const rows = [...outcomes].map(([mode, all]) => ({
  mode,
  seconds: median(all.map((each) => each.seconds)),
  dice: median(all.map((each) => each.dice)),
}));
for (const { mode, seconds } of rows) {
  print({ bench: "modes", case: `time, ${mode}`, ours: seconds, peer: null, ratio: null, unit: "s" });
}
for (const { mode, dice } of rows) {
  print({ bench: "modes", case: `best val_dice, ${mode}`, ours: dice, peer: null, ratio: null, unit: "" });
}
if (!process.argv.includes("--json")) console.log(`\n${plot(rows)}`);

/** Bars of equal scale, the quickest first. */
function plot(bars: readonly { mode: string; seconds: number }[]): string {
  const sorted = bars.toSorted((a, b) => a.seconds - b.seconds);
  const [least, most] = [sorted[0]?.seconds ?? 1, sorted.at(-1)?.seconds ?? 1];
  const width = Math.max(...bars.map(({ mode }) => mode.length));
  return sorted
    .map(({ mode, seconds }) => {
      const bar = "█".repeat(Math.round((40 * seconds) / most));
      return `${mode.padEnd(width)}  ${bar}  ${seconds.toFixed(1)} s, ${(seconds / least).toFixed(2)} of the quickest`;
    })
    .join("\n");
}
