import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { findTrial, openRun, readRun, readTrialLogs, runFiles, trialLogs } from "../../src/run-folder/index.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-logs-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const experiment = defineExperiment({ name: "x", trainer: { module: "m.mjs" } });

async function runOf(trials: string[]) {
  const dir = path.join(folder, `run-${++count}`);
  const run = await openRun(dir, experiment);
  for (const trial of trials) {
    run.record({ type: "trial_created", trial, parameters: {} });
    await mkdir(runFiles.trial(dir, trial), { recursive: true });
  }
  await run.commit();
  return run;
}

describe("findTrial", () => {
  it("takes an id, a number and `best`, and names what there is", async () => {
    const run = await runOf(["0001", "0002", "0003"]);
    const facts = { attempt: 1, epochs: 1, seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1, checkpoint: "" };
    await run.commit();
    await assert.rejects(
      async () => findTrial(await readRun(run.dir), "best"),
      /no trial has a value of val_dice yet, so none is best$/,
    );
    run.record({ type: "epoch", trial: "0002", ...facts, epoch: 1, metrics: { val_dice: 0.5 } });
    await run.close();
    const reading = await readRun(run.dir);
    for (const name of ["2", "0002", "best"]) assert.equal(findTrial(reading, name).id, "0002");
    for (const name of ["7", "0", "x"]) {
      assert.throws(() => findTrial(reading, name), {
        code: "USAGE",
        message: `${run.dir}: no trial ${name}: expected \`best\` or one of 0001 to 0003`,
      });
    }
  });
});

describe("readTrialLogs", () => {
  it("gives what stands there, by rank", async () => {
    const run = await runOf(["0001"]);
    await run.close();
    await appendFile(runFiles.trialLog(run.dir, "0001"), "zero\n");
    await appendFile(runFiles.trialLog(run.dir, "0001", 10), "ten\n");
    await appendFile(runFiles.trialLog(run.dir, "0001", 2), "two\n");
    assert.deepEqual(
      (await trialLogs(run.dir, "0001")).map(({ rank, bytes }) => [rank, bytes]),
      [
        [0, 5],
        [2, 4],
        [10, 4],
      ],
    );
    let text = "";
    for await (const { bytes } of readTrialLogs(run.dir, "0001")) text += bytes;
    assert.equal(text, "zero\ntwo\nten\n");
    text = "";
    for await (const { bytes } of readTrialLogs(run.dir, "0001", { rank: 2 })) text += bytes;
    assert.equal(text, "two\n");
  });

  it("follows until the trial has ended, to the last byte", async () => {
    const run = await runOf(["0001"]);
    const file = runFiles.trialLog(run.dir, "0001");
    await appendFile(file, "first\n");
    let text = "";
    for await (const { bytes } of readTrialLogs(run.dir, "0001", { follow: true })) {
      text += bytes;
      if (text === "first\n") await appendFile(file, "second\n");
      else if (text.endsWith("second\n")) {
        await appendFile(file, "last\n");
        run.record({ type: "trial_ended", trial: "0001", attempt: 1, state: "completed", metrics: {}, error: null });
        await run.commit();
      }
    }
    assert.equal(text, "first\nsecond\nlast\n");
    await run.close();
  });
});
