/** The task "train" with several replicas, each a real trainer, in TensorFlow's cluster on this machine. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { TrialOutcome } from "../../../src/generated/distmis/v1/trainer.ts";
import { type Replicas, startReplicas } from "../../support/replicas.ts";
import { assignment, fixture } from "../../support/trainer.ts";
import { type TinyTrial, tinyRecords, trainAssignment } from "../../support/training.ts";

let dir = "";
let records = "";
let made = 0;
/** By how many they are; warm from test to test. */
const gangs = new Map<number, Replicas>();

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-replicas-"));
  // 7 training and 3 validation volumes: no batch size but 1 divides them.
  records = await tinyRecords(dir, 10, [8, 8, 8], [0.7, 0.3, 0]);
});
after(async () => {
  await Promise.all([...gangs.values()].map((gang) => gang.kill()));
  fs.rmSync(dir, { recursive: true, force: true });
});

async function gangOf(replicas: number): Promise<Replicas> {
  const gang = gangs.get(replicas) ?? (await startReplicas(replicas));
  gangs.set(replicas, gang);
  return gang;
}

/** A trial's folder for each rank, of which only the first is expected to hold anything. */
function folders(name = `trial-${made++}`) {
  const of = (rank: number) => path.join(dir, rank === 0 ? name : `${name}-rank-${rank}`);
  return { of, checkpoints: path.join(of(0), "checkpoints") };
}

async function run(replicas: number, trial: TinyTrial, at = folders()) {
  const gang = await gangOf(replicas);
  return gang.run((rank) => trainAssignment(records, at.of(rank), trial));
}

type Metrics = Awaited<ReturnType<typeof run>>;

/** Relative; the metrics are around 1. */
function assertClose(found: Metrics, expected: Metrics, tolerance: number): void {
  assert.deepEqual(
    found.map(({ epoch }) => epoch),
    expected.map(({ epoch }) => epoch),
  );
  for (const [at, metrics] of expected.entries()) {
    for (const [name, value] of Object.entries(metrics)) {
      const own = found[at]?.[name] ?? Number.NaN;
      assert.ok(Math.abs(own - value) <= tolerance * Math.abs(value), `epoch ${at + 1}: ${name} ${own}, not ${value}`);
    }
  }
}

const tinyTrain = (batch: number, more: TinyTrial["train"] = {}): TinyTrial => ({
  model: { norm: "group", depth: 1 },
  train: {
    epochs: 3,
    batch_size_per_replica: batch,
    optimizer: "sgd",
    learning_rate: 0.05,
    loss: "dice_ce",
    batch_dice: false,
    ...more,
  },
});

describe("several replicas", { timeout: 240_000 }, () => {
  for (const replicas of [2, 4]) {
    test(`${replicas} of batch 1 train as one of batch ${replicas}, also where the last batch is too small`, async () => {
      const at = folders();
      const found = await run(replicas, tinyTrain(1), at);
      assert.equal(found.length, 3);
      assert.ok((found[2]?.loss ?? 1) < (found[0]?.loss ?? 0), "it learns");
      assertClose(found, await run(1, tinyTrain(replicas)), 1e-5);
      for (let rank = 1; rank < replicas; rank++)
        assert.deepEqual(fs.readdirSync(at.of(rank)), [], "only rank 0 writes");
      assert.deepEqual(fs.readdirSync(at.checkpoints).sort(), [
        "best.safetensors",
        "last.safetensors",
        "previous.safetensors",
      ]);
    });
  }

  test("with batch norm and a Dice over the batch, sync makes 2 of batch 1 train as one of batch 2", async () => {
    const { train } = tinyTrain(1, { batch_dice: true, loss: "dice" });
    const trial = (batch: number, sync: boolean): TinyTrial => ({
      model: { norm: "batch", depth: 1 },
      train: { ...train, batch_size_per_replica: batch, sync },
    });
    // The validation's batches are another matter: of 1 or of 2.
    const trained = (found: Metrics) => found.map(({ val_loss, ...others }) => others as Metrics[number]);
    const whole = trained(await run(1, trial(2, false)));
    assertClose(trained(await run(2, trial(1, true))), whole, 1e-5);
    const own = trained(await run(2, trial(1, false)));
    assert.throws(() => assertClose(own, whole, 1e-3), "each replica's own statistics are others");
  });

  test("the learning rate, the warm-up and the schedule are those of one replica, times the replicas", async () => {
    const more = { schedule: "cosine", warmup_epochs: 1, epochs: 4 } as const;
    const scaled = await run(2, tinyTrain(1, { ...more, learning_rate: 0.05, scale_learning_rate: "linear" }));
    assertClose(scaled, await run(1, tinyTrain(2, { ...more, learning_rate: 0.1 })), 1e-5);
  });

  test("a warm gang goes from model to model, and the same trial gives the same bits", async () => {
    const trial: TinyTrial = {
      model: { norm: "batch", dropout: 0.2, filters: 6 },
      train: { epochs: 2, batch_size_per_replica: 2, sync: true, augmentation: { flip: {} } },
    };
    const first = await run(2, trial);
    await run(2, { ...trial, model: { norm: "group", filters: 4 } });
    assert.deepEqual(await run(2, trial), first);
  });

  test("the checkpoint of 2 continues on 1, on 3 and on 2, with the learning rate of its epoch", async () => {
    const begun = folders();
    const momentum = { momentum: 0.9, epochs: 2 };
    await run(2, tinyTrain(1, momentum), begun);
    const copy = () => {
      const at = folders();
      fs.cpSync(begun.of(0), at.of(0), { recursive: true });
      return at;
    };
    const more = { ...momentum, epochs: 4, schedule: "cosine", debug: true } as const;
    const ofTwo = await run(2, tinyTrain(1, more), copy());
    assert.deepEqual(
      ofTwo.map(({ epoch }) => epoch),
      [3, 4],
    );
    assertClose(await run(1, tinyTrain(2, more), copy()), ofTwo, 1e-5);
    const ofThree = await run(3, tinyTrain(1, more), copy());
    assertClose(ofThree, await run(1, tinyTrain(3, more), copy()), 1e-5);
    // 2 epochs of 4 steps each lie behind; now an epoch has 3 steps, and half of all of them are over.
    const log = (await gangOf(3)).trainers[2]?.logs.stdout ?? "";
    assert.match(log, /^epoch 3 step 9 loss \d\.\d+ learning rate 0\.025\d*$/m);
  });

  test("all stop after the same step though one alone is asked, and go on as if undisturbed, to the last bit", async () => {
    const gang = await gangOf(2);
    const [zero, one] = gang.trainers;
    assert.ok(zero && one);
    const at = folders();
    gang.assign((rank) => trainAssignment(records, at.of(rank), tinyTrain(1, { epochs: 10_000 })));
    assert.equal((await zero.next()).$case, "report");
    one.send({ $case: "stop", value: { trialId: path.basename(at.of(1)), reason: "a test" } });
    const ends = await gang.untilEnded();
    for (const { ended } of ends) {
      assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_STOPPED, ended.errorMessage);
      assert.equal(ended.clean, true, ended.uncleanReason);
    }
    const [ofZero, ofOne] = ends.map(({ reports }) => reports);
    const last = ofOne?.at(-1);
    assert.ok(last !== undefined);
    // The first report was taken above.
    assert.deepEqual(
      ofZero?.map(({ epoch }) => epoch),
      ofOne?.slice(1).map(({ epoch }) => epoch),
    );
    const epochs = last.epoch + 1;
    const [resumed, ...none] = await run(2, tinyTrain(1, { epochs }), at);
    assert.equal(none.length, 0);
    assert.deepEqual(resumed, (await run(2, tinyTrain(1, { epochs }))).at(-1));
  });

  test("a validation that is spread over replicas measures what one replica measures, to the last bit", async () => {
    // The same weights: of one checkpoint, without another step.
    const at = folders();
    const trial = tinyTrain(2, { epochs: 1, batch_dice: true });
    const [spread] = await run(2, trial, at);
    const gang = await gangOf(1);
    gang.assign((rank) => {
      const message = trainAssignment(records, at.of(rank), trial);
      assert.ok(message.$case === "assign");
      const checkpoint = path.join(at.checkpoints, "last.safetensors");
      const taskJson = JSON.stringify({ checkpoint, split: "valid" });
      return { ...message, value: { ...message.value, task: "evaluate", taskJson } };
    });
    const [alone] = await gang.untilEnded();
    assert.equal(alone?.ended.metrics.volumes, 3);
    assert.equal(alone.ended.metrics.dice, spread?.val_dice);
    assert.equal(alone.ended.metrics.loss, spread?.val_loss);
  });

  test("weights that differ in one bit end the trial on all replicas, and so does another data set", async () => {
    for (const [parameters, expected] of [
      [{}, /^the weights of replica 1 differ from replica 0's after epoch 7, /],
      [{ valid: 4 }, /^replica 1 sees 7 training and 4 validation volumes, replica 0 sees 7 and 3: data\.dir/],
    ] as const) {
      const gang = await startReplicas(2);
      try {
        const at = folders();
        gang.assign((rank) => {
          fs.mkdirSync(at.of(rank));
          return assignment(fixture("diverges.ts"), at.of(rank), { parameters });
        });
        const [zero, one] = gang.trainers;
        const end = await one?.untilEnded();
        assert.match(end?.ended.errorMessage ?? "", expected);
        if ("valid" in parameters) continue;
        assert.match((await zero?.untilEnded())?.ended.errorMessage ?? "", expected);
        for (const [rank, { logs }] of gang.trainers.entries()) {
          assert.match(logs.stdout, new RegExp(`^rank ${rank} begins at epoch 6 step 0$`, "m"), "rank 0's beginning");
        }
      } finally {
        await gang.kill();
      }
    }
  });

  test("a replica that is lost ends the trial of the others by an error that has it tried again", async () => {
    const gang = await gangOf(2);
    const [zero, one] = gang.trainers;
    const at = folders();
    // Between two reductions: within one, TensorFlow may wait for ever for the lost replica to fetch its part (collective.ts).
    gang.assign((rank) => {
      const message = trainAssignment(records, at.of(rank), tinyTrain(1, { epochs: 10_000 }));
      assert.ok(message.$case === "assign");
      return rank === 1 ? { ...message, value: { ...message.value, task: fixture("dies.ts") } } : message;
    });
    assert.equal(await one?.exited, "SIGKILL");
    const { ended } = (await zero?.untilEnded()) ?? {};
    gangs.delete(2);
    await gang.kill();
    assert.equal(ended?.errorCode, "TRAINER_FAILED", ended?.errorMessage);
    assert.match(ended?.errorMessage ?? "", /^replica 0 of 2 lost the others /);
  });
});
