import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { openRun, readRun, runFiles } from "../../src/run-folder/index.ts";
import { encodeRecord } from "../../src/run-folder/journal.ts";
import type { JournalRecord } from "../../src/run-folder/record.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-read-run-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const experiment = defineExperiment({ name: "x", trainer: { module: "m.mjs" } });
const newDir = () => path.join(folder, `run-${++count}`);

/** A run whose one trial is running. */
async function runningRun(dir: string) {
  const run = await openRun(dir, experiment);
  run.record({ type: "trial_created", trial: "0001", parameters: {} });
  run.record({ type: "attempt_started", trial: "0001", attempt: 1, replicas: 1, nodes: ["n"], gpus: [] });
  await run.commit();
  return run;
}

describe("readRun", () => {
  it("tells how a run stands while an orchestrator works on it, and after, and writes nothing", async () => {
    const dir = newDir();
    const run = await runningRun(dir);
    try {
      const reading = await readRun(dir);
      assert.equal(reading.dir, dir);
      assert.deepEqual(reading.experiment, experiment);
      assert.equal(reading.state.trials.get("0001")?.state, "running");
      assert.equal(reading.owner?.pid, process.pid);
      // A record that is being written.
      await appendFile(runFiles.journal(dir), '{"seq":4,"ti');
      assert.match((await readRun(dir)).torn ?? "", /^line 4: the last record was cut short$/);
    } finally {
      await run.close();
    }
    const files = await readdir(dir);
    const reading = await readRun(dir);
    assert.equal(reading.owner, null);
    assert.equal(reading.state.trials.get("0001")?.state, "waiting", "nobody works on it");
    assert.deepEqual(await readdir(dir), files);
  });

  it("hands over every record", async () => {
    const dir = newDir();
    await (await runningRun(dir)).close();
    const types: string[] = [];
    await readRun(dir, ({ type }) => types.push(type));
    assert.deepEqual(types, ["run_started", "trial_created", "attempt_started"]);
  });

  it("says what is there instead of a run", async () => {
    const parent = newDir();
    await (await runningRun(path.join(parent, "hippocampus"))).close();
    await assert.rejects(readRun(path.join(parent, "hipocampus")), {
      code: "FILE_UNUSABLE",
      message: `${parent}/hipocampus: there is no such run folder; did you mean ${parent}/hippocampus?`,
    });
    await assert.rejects(readRun(path.join(parent, "other")), { message: /there is no such run folder$/ });
    await assert.rejects(readRun(parent), {
      message: `${parent}: no run folder, it has no journal.jsonl; name one of the runs in it: ${parent}/hippocampus`,
    });
    const empty = newDir();
    await mkdir(empty);
    await assert.rejects(readRun(empty), { message: /no run folder, .*; name the folder of a run$/ });
    await writeFile(runFiles.journal(empty), "");
    await assert.rejects(readRun(empty), { message: /ended before it began/ });
  });

  it("leaves out fields that it does not know", async () => {
    const dir = newDir();
    await (await runningRun(dir)).close();
    const record = { seq: 4, time: new Date().toISOString(), type: "run_ended", state: "finished", mood: "good" };
    await appendFile(runFiles.journal(dir), encodeRecord(record as unknown as JournalRecord));
    const { state, torn } = await readRun(dir);
    assert.deepEqual([state.finished, torn], [true, null]);
  });

  it("refuses what a newer distmis wrote, by the version that the record names", async () => {
    const dir = newDir();
    await mkdir(dir);
    const record = { seq: 1, time: new Date().toISOString(), type: "run_started", version: 99, experiment: {} };
    await writeFile(runFiles.journal(dir), encodeRecord(record as unknown as JournalRecord));
    await assert.rejects(readRun(dir), {
      code: "RUN_REFUSED",
      message: /journal\.jsonl:1: written by a newer distmis, in version 99 of the format; .* update it$/,
    });
  });
});
