/** The example of docs/trainer-module.md in a real trainer process, and its experiment as it stands in the file. */
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { TrialOutcome } from "../../src/generated/distmis/v1/trainer.ts";
import { dryRun, loadExperiment, makePhantom } from "../../src/index.ts";
import { repositoryRoot } from "../support/python.ts";
import { assignment, startTrainer, type TrainerUnderTest } from "../support/trainer.ts";

const experimentFile = path.join(repositoryRoot, "configs/examples/label-size.yaml");
const module = path.join(repositoryRoot, "configs/examples/label-size.mjs");
let folder = "";
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-example-"));
  await makePhantom({ targetDir: path.join(folder, "phantom"), count: 8, shape: [16, 16, 16] });
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

async function readyTrainer(t: TestContext): Promise<TrainerUnderTest> {
  const trainer = startTrainer();
  t.after(() => trainer.child.kill("SIGKILL"));
  assert.equal((await trainer.next()).$case, "ready");
  return trainer;
}

/** Enough work for a few milliseconds an epoch, so that a trial is interrupted before its end. */
function assignmentIn(
  name: string,
  parameters: Record<string, unknown>,
  options: Parameters<typeof assignment>[2] = {},
) {
  const dir = path.join(folder, "phantom");
  return assignment(module, path.join(folder, name), { parameters: { dir, ...parameters }, epochs: 60, ...options });
}

const weightsIn = (name: string): unknown =>
  JSON.parse(fs.readFileSync(path.join(folder, name, "regression.json"), "utf8"));

describe("the example of a trainer module", { timeout: 60_000 }, () => {
  it("is an experiment of six trials", async () => {
    const { trials } = await dryRun(await loadExperiment(experimentFile, {}), { runDir: path.join(folder, "run") });
    assert.equal(trials.length, 6);
  });

  it("learns, and a trial that was stopped or killed ends with the weights of one that was not", async (t) => {
    const trainer = await readyTrainer(t);
    const slow = { steps: 3000 };
    trainer.send(assignmentIn("whole", slow));
    const whole = await trainer.untilEnded();
    assert.equal(whole.ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED, whole.ended.errorMessage);
    assert.ok(whole.ended.clean);
    assert.equal(whole.reports.length, 60);
    assert.ok((whole.reports.at(-1)?.metrics.loss ?? 1) <= (whole.reports[0]?.metrics.loss ?? 0));

    trainer.send(assignmentIn("parts", slow));
    assert.equal((await trainer.next()).$case, "report");
    trainer.send({ $case: "stop", value: { trialId: "t1", reason: "test" } });
    const stopped = await trainer.untilEnded();
    assert.equal(stopped.ended.outcome, TrialOutcome.TRIAL_OUTCOME_STOPPED);
    const known = 1 + stopped.reports.length;

    trainer.send(assignmentIn("parts", slow, { attempt: 2, reportedEpoch: known }));
    const first = await trainer.next();
    assert.equal(first.$case === "report" && first.value.epoch, known + 1);
    trainer.child.kill("SIGKILL");
    await trainer.exited;

    // The run knows of one epoch less than the file holds, or of more: those in between are told again.
    const next = await readyTrainer(t);
    next.send(assignmentIn("parts", slow, { attempt: 3, reportedEpoch: known }));
    const rest = await next.untilEnded();
    assert.deepEqual(
      rest.reports.map(({ epoch }) => epoch),
      Array.from({ length: 60 - known }, (_, index) => known + 1 + index),
    );
    assert.deepEqual(weightsIn("parts"), weightsIn("whole"));
    assert.deepEqual(rest.reports.at(-1)?.metrics, whole.reports.at(-1)?.metrics);
    next.input.end();
    await once(next.child, "close");
  });

  it("runs the smallest one of the page as it stands there", async (t) => {
    const page = fs.readFileSync(path.join(repositoryRoot, "docs/trainer-module.md"), "utf8");
    const code = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    const smallest = path.join(folder, "smallest.mjs");
    fs.writeFileSync(smallest, code);
    const trainer = await readyTrainer(t);
    trainer.send(assignment(smallest, path.join(folder, "smallest"), { parameters: { rate: 1 } }));
    const { reports, ended } = await trainer.untilEnded();
    assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED, ended.errorMessage);
    assert.deepEqual(
      reports.map(({ metrics }) => metrics.score),
      [1, 2, 3].map((epoch) => 1 - Math.exp(-epoch)),
    );
  });

  it("fails with words for what is wrong in its parameters", async (t) => {
    const trainer = await readyTrainer(t);
    trainer.send(assignmentIn("wrong", { rate: "fast" }));
    const { ended } = await trainer.untilEnded();
    assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_FAILED);
    assert.match(ended.errorMessage, /trainer\.parameters: expected numbers/);
    trainer.send(assignmentIn("diverges", { rate: 50, steps: 2000 }));
    assert.match(
      (await trainer.untilEnded()).ended.errorMessage,
      /the loss is (NaN|Infinity): try a smaller rate than 50/,
    );
  });
});
