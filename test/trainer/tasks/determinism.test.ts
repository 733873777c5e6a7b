/** Equal experiments with equal seeds and threads report equal metrics, to the last bit, whatever the trainer did before. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { TrialOutcome } from "../../../src/generated/distmis/v1/trainer.ts";
import { startTrainer, type TrainerUnderTest } from "../../support/trainer.ts";
import { type TinyTrial, tinyRecords, trainAssignment } from "../../support/training.ts";

// Enough voxels for several threads to share each operation, and a short last batch.
const SHAPE = [16, 24, 16] as const;
const EPOCHS = 3;

let dir = "";
let records = "";
let made = 0;

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-determinism-"));
  records = await tinyRecords(dir, 8, SHAPE);
});
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const trialDir = () => path.join(dir, `trial-${made++}`);

/** The reported metrics of a trial. */
async function metricsOf(trainer: TrainerUnderTest, trial: TinyTrial, folder = trialDir()) {
  trainer.send(trainAssignment(records, folder, trial));
  const { reports, ended } = await trainer.untilEnded();
  assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED, ended.errorMessage);
  assert.equal(ended.clean, true, ended.uncleanReason);
  return reports.map(({ metrics }) => metrics);
}

/** A trainer with so many TensorFlow threads for the time of `use`. */
async function withTrainer<T>(threads: number, use: (trainer: TrainerUnderTest) => Promise<T>): Promise<T> {
  const trainer = startTrainer({ DISTMIS_CPUS: String(threads) });
  try {
    await trainer.next();
    return await use(trainer);
  } finally {
    trainer.child.kill("SIGKILL");
    await trainer.exited;
  }
}

for (const threads of [1, 2]) {
  describe(`with ${threads} threads`, { timeout: 240_000 }, () => {
    for (const norm of ["batch", "group"] as const) {
      const trial: TinyTrial = {
        model: { norm, dropout: 0.2 },
        // Augmentation runs on a thread beside TensorFlow.
        train: {
          epochs: EPOCHS,
          amsgrad: true,
          seed: 7,
          ...(norm === "group" && { augmentation: { flip: { probability: 0.5 } } }),
        },
      };
      test(`${norm} norm: cold, after other trials, again and resumed`, async () => {
        const cold = await withTrainer(threads, (trainer) => metricsOf(trainer, trial));
        assert.equal(cold.length, EPOCHS);
        await withTrainer(threads, async (trainer) => {
          const others: TinyTrial[] = [{ model: { norm: "none" } }, { train: { seed: 8 } }, { model: { filters: 6 } }];
          for (const other of others) await metricsOf(trainer, other);
          assert.deepEqual(await metricsOf(trainer, trial), cold, "after other trials");
          assert.deepEqual(await metricsOf(trainer, trial), cold, "the fifth trial");
          const seed8 = await metricsOf(trainer, { ...trial, train: { ...trial.train, seed: 8 } });
          assert.notDeepEqual(seed8, cold, "another seed");
        });
        // The first epoch by one trainer and the others by the next: how a lost worker's trial goes on. A stop in the midst
        // of an epoch is in train.test.ts, where it comes at a fixed step.
        const folder = trialDir();
        const short = { ...trial, train: { ...trial.train, epochs: 1 } };
        const first = await withTrainer(threads, (trainer) => metricsOf(trainer, short, folder));
        const rest = await withTrainer(threads, (trainer) => metricsOf(trainer, trial, folder));
        assert.deepEqual([...first, ...rest], cold, "resumed by another trainer");
      });
    }
  });
}
