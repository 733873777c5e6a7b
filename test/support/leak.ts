/** What a warm trainer holds after each of many trials; for the benchmark `leak` and its short form in the tests. */
import fs from "node:fs";
import path from "node:path";
import { TrialOutcome } from "../../src/generated/distmis/v1/trainer.ts";
import { startTrainer } from "./trainer.ts";
import { type TinyTrial, tinyRecords, trainAssignment } from "./training.ts";

/** Different networks and optimisers, as a search has them. */
const VARIANTS: readonly TinyTrial[] = [
  { model: { norm: "batch" } },
  { model: { norm: "group" }, train: { learning_rate: 5e-3 } },
  { model: { norm: "batch" }, train: { amsgrad: true, beta2: 0.99 } },
  { model: { norm: "none", filters: 6 } },
];

/** The trial from which on nothing may grow: by then each network has been compiled once. */
export const SETTLED = 5;

export interface Held {
  /** Tensors after each trial, as the trainer counts them. */
  tensors: number[];
  /** Resident bytes after each trial. */
  resident: number[];
}

/** Resident bytes of a process now. */
function residentBytes(pid: number | undefined): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

/** Runs `trials` small trials of the task "train" in one trainer with files below `dir`. */
export async function heldByTrainer(
  dir: string,
  trials: number,
  done: (trial: number, bytes: number) => void = () => {},
): Promise<Held> {
  const records = await tinyRecords(dir);
  const trainer = startTrainer({ DISTMIS_CPUS: "2" });
  try {
    await trainer.next();
    const held: Held = { tensors: [], resident: [] };
    for (let trial = 0; trial < trials; trial++) {
      const trialDir = path.join(dir, `trial-${trial}`);
      trainer.send(trainAssignment(records, trialDir, VARIANTS[trial % VARIANTS.length] ?? {}));
      const { ended } = await trainer.untilEnded();
      if (ended.outcome !== TrialOutcome.TRIAL_OUTCOME_COMPLETED) throw new Error(ended.errorMessage);
      held.tensors.push(ended.clean ? 0 : Number.parseInt(ended.uncleanReason, 10));
      const bytes = residentBytes(trainer.child.pid);
      held.resident.push(bytes);
      done(trial, bytes);
      fs.rmSync(trialDir, { recursive: true });
    }
    return held;
  } finally {
    trainer.child.kill("SIGKILL");
    await trainer.exited;
  }
}
