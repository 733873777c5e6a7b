import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { TrialOutcome } from "../../src/generated/distmis/v1/trainer.ts";
import { PROTOCOL_VERSION } from "../../src/wire/index.ts";
import { assignment, fixture, progressOf, startTrainer, type TrainerUnderTest } from "../support/trainer.ts";
import { until, untilSteady } from "../support/until.ts";

let dir = "";
/** Used by all tests that do not end it. */
let warm: TrainerUnderTest;
before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "trainer-test-"));
  warm = startTrainer();
  await warm.next();
});
after(() => {
  warm.child.kill("SIGKILL");
  fs.rmSync(dir, { recursive: true });
});

/** A trainer that has said Ready, for a test that ends it. */
async function readyTrainer(t: TestContext): Promise<TrainerUnderTest> {
  const trainer = startTrainer();
  t.after(() => trainer.child.kill("SIGKILL"));
  assert.equal((await trainer.next()).$case, "ready");
  return trainer;
}

/** Resident bytes of a process now. */
function residentBytes(pid: number | undefined): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

describe("a trainer", { timeout: 60_000 }, () => {
  it("says who it is, works on one trial after another, and keeps its logs apart", async (t) => {
    const trainer = startTrainer({ DISTMIS_CPUS: "2.9" });
    t.after(() => trainer.child.kill("SIGKILL"));
    assert.deepEqual(await trainer.next(), {
      $case: "ready",
      value: {
        protocolVersion: PROTOCOL_VERSION,
        pid: trainer.child.pid,
        distmisVersion: JSON.parse(fs.readFileSync("package.json", "utf8")).version,
        nodeVersion: process.version,
        collectivePort: 0,
      },
    });
    for (const attempt of [1, 2]) {
      trainer.send(assignment(fixture("epochs.ts"), dir, { epochs: 3, attempt }));
      const { reports, ended } = await trainer.untilEnded();
      assert.deepEqual(
        reports.map((report) => [report.trialId, report.attempt, report.epoch, report.epochs, report.metrics.val_dice]),
        [1, 2, 3].map((epoch) => ["t1", attempt, epoch, 3, epoch / 3]),
      );
      assert.ok(reports.every((report) => report.peakResidentBytes > 30e6 && report.peakResidentBytes < 2e9));
      assert.deepEqual(ended, {
        trialId: "t1",
        attempt,
        outcome: TrialOutcome.TRIAL_OUTCOME_COMPLETED,
        errorCode: "",
        errorMessage: "",
        // The second trial finds what the first one left in `shared`.
        metrics: { test_dice: 0.5, trials: attempt, threads: 2 },
        clean: true,
        uncleanReason: "",
      });
    }
    trainer.send(assignment(fixture("plain.mjs"), dir, { taskJson: '{"answer": 42}' }));
    assert.deepEqual((await trainer.untilEnded()).ended.metrics, { answer: 42 });
    assert.equal(trainer.logs.stdout, "trial t1 begins: größer\n".repeat(2));
    assert.equal(trainer.logs.stderr, "trial t1 ends\n".repeat(2));
    trainer.input.end();
    assert.equal(await trainer.exited, "SIGKILL");
  });

  it("that is one of several tells a port, and its task the addresses of all", async (t) => {
    const trainer = startTrainer({ DISTMIS_REPLICAS: "2" });
    t.after(() => trainer.child.kill("SIGKILL"));
    const ready = await trainer.next();
    const port = ready.$case === "ready" ? ready.value.collectivePort : 0;
    assert.ok(port > 0);
    const addresses = ["10.0.0.1:40001", `127.0.0.1:${port}`];
    trainer.send(assignment(fixture("joins.ts"), dir, { rank: 1, replicas: 2, addresses }));
    const { reports, ended } = await trainer.untilEnded();
    assert.deepEqual([reports[0]?.metrics, reports[0]?.workSeconds], [{ rank: 1, replicas: 2, addresses: 2 }, 0.25]);
    // Held by the trainer for TensorFlow, and free at the moment in which that takes it.
    assert.deepEqual(ended.metrics, { port, heldBefore: 1, heldAfter: 0 });
  });

  it("beats and can be stopped while its main thread is blocked", async (t) => {
    const trainer = await readyTrainer(t);
    trainer.send(assignment(fixture("busy.ts"), dir, { parameters: { busy_ms: 20_000, step_ms: 3500 } }));
    await trainer.next();
    const stopped = trainer.untilEnded();
    await until("3 heartbeats of a blocked trainer", () => trainer.heartbeats.length >= 3 || null);
    const silent = trainer.heartbeats.slice(-2).map((beat) => beat.mainThreadSilentSeconds);
    assert.ok(silent[1] !== undefined && silent[1] > 0.9 && silent[1] < 4, String(silent));
    const gap = (trainer.heartbeats[2]?.at ?? 0) - (trainer.heartbeats[1]?.at ?? 0);
    assert.ok(gap > 500 && gap < 2000, `${gap} ms`);
    const last = trainer.heartbeats.at(-1)?.residentBytes ?? 0;
    assert.ok(Math.abs(last / residentBytes(trainer.child.pid) - 1) < 0.5);

    trainer.send({ $case: "stop", value: { trialId: "another", reason: "" } });
    trainer.send({ $case: "stop", value: { trialId: "t1", reason: "" } });
    const { ended } = await stopped;
    assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_STOPPED);
    assert.equal(ended.metrics.waited, 0);
    // The stop is that trial's only: the next one with the same name runs to its end.
    trainer.send({ $case: "stop", value: { trialId: "t1", reason: "too late" } });
    trainer.send(assignment(fixture("epochs.ts"), dir, { attempt: 2 }));
    assert.equal((await trainer.untilEnded()).ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED);
    // Idle, it is not silent.
    const beats = trainer.heartbeats.length;
    const idle = trainer.next().catch(() => null);
    const beat = await until("a heartbeat of an idle trainer", () => trainer.heartbeats[beats + 1]);
    assert.equal(beat.mainThreadSilentSeconds, 0);
    trainer.input.end();
    await idle;
  });

  it("dies at the end of its input while its main thread is blocked", async (t) => {
    const trainer = await readyTrainer(t);
    trainer.send(assignment(fixture("busy.ts"), dir, { parameters: { busy_ms: 20_000, step_ms: 20_000 } }));
    await trainer.next();
    const start = performance.now();
    trainer.input.end();
    assert.equal(await trainer.exited, "SIGKILL");
    assert.ok(performance.now() - start < 1000);
  });

  it("takes a stop that comes with its assignment", async () => {
    warm.send(assignment(fixture("epochs.ts"), dir, { epochs: 100 }));
    warm.send({ $case: "stop", value: { trialId: "t1", reason: "" } });
    const { reports, ended } = await warm.untilEnded();
    assert.deepEqual([reports.length, ended.outcome], [1, TrialOutcome.TRIAL_OUTCOME_STOPPED]);
  });

  it("refuses a second trial while it works on one", async () => {
    warm.send(assignment(fixture("epochs.ts"), dir, { parameters: { epoch_ms: 300 } }));
    warm.send(assignment(fixture("epochs.ts"), dir, { trialId: "t2" }));
    const refused = (await warm.untilEnded()).ended;
    assert.deepEqual([refused.trialId, refused.errorCode, refused.clean], ["t2", "TRAINER_FAILED", false]);
    assert.match(refused.errorMessage, /still works on trial t1/);
    assert.equal((await warm.untilEnded()).ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED);
  });

  it("tells failures of a trial with a code and a message, and goes on", async () => {
    const missing = path.join(dir, "missing");
    const broken = path.join(dir, "broken.mjs");
    fs.writeFileSync(broken, "export default () => {;");
    const cases = [
      [
        "throw",
        assignment(fixture("faulty.ts"), dir, { parameters: { fault: "throw" } }),
        "TRIAL_FAILED",
        /^the loss is not a number$/,
      ],
      [
        "code",
        assignment(fixture("faulty.ts"), dir, { parameters: { fault: "distmis-error" } }),
        "DATA_INVALID",
        /record 3/,
      ],
      [
        "epoch",
        assignment(fixture("faulty.ts"), dir, { parameters: { fault: "same-epoch" } }),
        "TRIAL_FAILED",
        /epoch 1 was reported after epoch 1/,
      ],
      ["config", assignment(fixture("epochs.ts"), dir, { epochs: 0 }), "CONFIG_INVALID", /t1.*train\.epochs/],
      [
        "json",
        assignment(fixture("epochs.ts"), dir, { configJson: "{" }),
        "CONFIG_INVALID",
        /configuration is not JSON/,
      ],
      [
        "folder",
        assignment(fixture("epochs.ts"), path.join(missing, "0001")),
        "FILE_UNUSABLE",
        /missing does not exist on/,
      ],
      ["name", assignment("tran", dir), "CONFIG_INVALID", /"tran": expected train, evaluate or the absolute path/],
      ["module", assignment(path.join(missing, "a.ts"), dir), "FILE_UNUSABLE", /a\.ts does not exist on/],
      ["syntax", assignment(broken, dir), "CONFIG_INVALID", /broken\.mjs cannot be loaded/],
      [
        "export",
        assignment(fixture("not-a-task.mjs"), dir),
        "CONFIG_INVALID",
        /its default export must be .* found number/,
      ],
    ] as const;
    for (const [name, assign, code, message] of cases) {
      warm.send(assign);
      const { ended } = await warm.untilEnded();
      assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_FAILED, name);
      assert.equal(ended.errorCode, code, `${name}: ${ended.errorMessage}`);
      assert.match(ended.errorMessage, message);
      assert.equal(ended.clean, true, name);
    }
    await until("the stack in the log", () => /faulty\.ts:\d+/.test(warm.logs.stderr) || null);
  });

  it("tells an error that nobody caught, and ends", async (t) => {
    const trainer = await readyTrainer(t);
    trainer.send(assignment(fixture("faulty.ts"), dir, { parameters: { fault: "rejection" } }));
    const { ended } = await trainer.untilEnded();
    assert.deepEqual(
      [ended.errorCode, ended.errorMessage, ended.clean],
      ["TRIAL_FAILED", "nobody waits for this", false],
    );
    assert.equal(await trainer.exited, 1);
  });

  it("holds a bounded amount for a reader that does not read, and loses nothing", async () => {
    const count = 50_000;
    const parameters = { padding: 200 };
    warm.output.pause();
    warm.send(assignment(fixture("flood.ts"), dir, { epochs: count, parameters }));
    const reported = () => progressOf(dir);
    // The pipe and 256 KiB are full after some thousand reports of 300 bytes; then nothing more is taken.
    await until("the first reports", () => reported() > 0 || null);
    const stuck = await untilSteady("the task waits", reported);
    assert.ok(stuck > 100 && stuck < 10_000, String(stuck));
    const start = performance.now();
    const { reports, ended } = await warm.untilEnded();
    assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED);
    assert.deepEqual([reports.length, reports.at(-1)?.epoch], [count, count]);
    const grown = (reports.at(-1)?.peakResidentBytes ?? 0) - (reports[0]?.peakResidentBytes ?? 0);
    assert.ok(grown < 150e6, `grown by ${grown} bytes`);
    // Trial activity does not starve the heartbeats.
    const beats = warm.heartbeats.filter(({ at }) => at > start).length;
    assert.ok(beats >= Math.floor((performance.now() - start) / 1000) - 1, `${beats} heartbeats`);
  });

  it("is not clean when its task has left something", async () => {
    warm.send(assignment(fixture("faulty.ts"), dir, { parameters: { fault: "leftovers" } }));
    const { ended } = await warm.untilEnded();
    assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED);
    assert.deepEqual([ended.clean, ended.uncleanReason], [false, "3 tensors"]);
  });

  it("ends with a word when its input cannot be read", async (t) => {
    const trainer = await readyTrainer(t);
    trainer.input.write(Buffer.from("hello, trainer"));
    assert.equal(await trainer.exited, "SIGTERM");
    await until("a line", () => /1819043176 bytes was announced/.test(trainer.logs.stderr) || null);
  });

  it("ends when nobody can hear it", async (t) => {
    const trainer = await readyTrainer(t);
    trainer.output.destroy();
    await once(trainer.output, "close");
    assert.equal(await trainer.exited, "SIGKILL");
  });
});
