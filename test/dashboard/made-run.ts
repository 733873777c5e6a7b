/** Runs that were never run, for what a page must show: journals with times of their own. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { defineExperiment, type Experiment } from "../../src/config/index.ts";
import { runFiles } from "../../src/run-folder/index.ts";
import { encodeRecord } from "../../src/run-folder/journal.ts";
import type { RecordBody } from "../../src/run-folder/record.ts";

export const START = Date.parse("2026-11-20T08:00:00Z");

/** Bodies with their seconds after the start, in their order. */
export type Made = [seconds: number, body: RecordBody];

export function journalText(made: readonly Made[]): string {
  return made
    .map(([seconds, body], index) =>
      encodeRecord({ seq: index + 1, time: new Date(START + seconds * 1000).toISOString(), ...body }),
    )
    .join("");
}

export async function writeRun(dir: string, experiment: Experiment, made: readonly Made[]): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(runFiles.journal(dir), journalText(made));
  await writeFile(runFiles.experiment(dir), stringify(experiment));
}

export function gridExperiment(name = "hippocampus"): Experiment {
  return defineExperiment({
    name,
    trainer: { module: "task.mjs" },
    search: {
      metric: "val_dice",
      mode: "max",
      sampler: "random",
      limits: { trials: 10_000 },
      space: {
        "train.learning_rate": { log_uniform: [1e-5, 1e-1] },
        "model.norm": { choice: ["batch", "group"] },
        "model.filters": { choice: [8, 16, 32] },
      },
    },
  });
}

/**
 * A search of `count` trials with `epochs` epochs on 2 nodes of 4 GPUs, one of which is lost once; the first trials fail, are pruned
 * and are lost, the others end well.
 */
export function madeSearch(experiment: Experiment, count: number, epochs: number): Made[] {
  const made: Made[] = [[0, { type: "run_started", version: 2, experiment, host: "login1", pid: 1 }]];
  const free = Array.from({ length: 8 }, () => 1);
  for (let number = 1; number <= count; number++) {
    const trial = String(number).padStart(4, "0");
    const lane = free.indexOf(Math.min(...free));
    let now = free[lane] ?? 0;
    const rate = 10 ** (-5 + 4 * noise(number));
    const norm = noise(number + 0.1) < 0.5 ? "batch" : "group";
    const filters = [8, 16, 32][Math.floor(noise(number + 0.2) * 3)] ?? 8;
    const parameters = { "train.learning_rate": rate, "model.norm": norm, "model.filters": filters };
    made.push([now, { type: "trial_created", trial, parameters }]);
    const [nodes, gpus] = [[`node${1 + Math.floor(lane / 4)}`], [String(lane % 4)]];
    const start = (attempt: number): Made => [
      now,
      { type: "attempt_started", trial, attempt, replicas: 1, nodes, gpus },
    ];
    made.push(start(1));
    let attempt = 1;
    const top = 0.9 - 0.05 * (Math.log10(rate) + 2.5) ** 2 + (norm === "batch" ? 0.02 : 0) + 0.002 * filters;
    for (let epoch = 1; epoch <= epochs; epoch++) {
      now += 20 + filters;
      if (number % 41 === 5 && epoch === 3) {
        made.push([now, { type: "attempt_ended", trial, attempt, cause: "lost", error: `node ${nodes[0]} is gone` }]);
        now += 30;
        made.push(start(++attempt));
      }
      const val_dice = top * (1 - Math.exp(-epoch / 4)) + 0.01 * noise(number * epoch);
      const metrics = { loss: 1.02 - val_dice, dice: val_dice + 0.02, val_loss: 1 - val_dice, val_dice };
      const rest = { seconds: 20, volumesPerSecond: 10, peakResidentBytes: 1e9, checkpoint: "" };
      made.push([now, { type: "epoch", trial, attempt, epoch, epochs, metrics, ...rest }]);
      if (number % 29 === 3 && epoch === 4) break;
    }
    const failed = number % 53 === 7;
    const error = failed
      ? "TRIAL_FAILED: the loss is NaN at step 12 (epoch 1): try a smaller train.learning_rate"
      : null;
    const state = failed ? "failed" : number % 29 === 3 ? "pruned" : "completed";
    made.push([now, { type: "trial_ended", trial, attempt, state, metrics: {}, error }]);
    free[lane] = now + 4;
  }
  made.sort(([a], [b]) => a - b);
  return made;
}

/** From 0 to 1, always the same for the same number. */
function noise(number: number): number {
  const value = Math.sin(number * 12.9898) * 43758.5453;
  return value - Math.floor(value);
}

export const runDir = (folder: string, name: string): string => path.join(folder, name);
