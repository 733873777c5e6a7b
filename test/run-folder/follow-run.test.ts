import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { followRun, openRun, runFiles } from "../../src/run-folder/index.ts";
import { until } from "../support/until.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-follow-run-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const experiment = defineExperiment({ name: "x", trainer: { module: "m.mjs" } });

async function followed() {
  const dir = path.join(folder, `run-${++count}`);
  const run = await openRun(dir, experiment);
  await run.commit();
  const types: string[] = [];
  let restarts = 0;
  const follower = await followRun(dir, {
    onRecord: ({ type }) => types.push(type),
    onRestart: () => restarts++,
  });
  return { dir, run, types, follower, restarts: () => restarts, journal: runFiles.journal(dir) };
}

describe("followRun", () => {
  it("reads what is added, and knows who works on the run", async () => {
    const { run, types, follower } = await followed();
    assert.equal(await follower.look(), true);
    assert.deepEqual([types, follower.owner?.pid], [["run_started"], process.pid]);
    assert.equal(await follower.look(), false, "nothing is new");
    run.record({ type: "trial_created", trial: "0001", parameters: {} });
    await run.commit();
    assert.equal(await follower.look(), true);
    assert.deepEqual(types, ["run_started", "trial_created"]);
    assert.equal(follower.state.trials.size, 1);
    await run.close();
    assert.equal(await follower.look(), true, "the owner is gone");
    assert.equal(follower.owner, null);
  });

  it("waits for the rest of a record that is being written", async () => {
    const { run, types, follower, journal } = await followed();
    run.record({ type: "trial_created", trial: "0001", parameters: {} });
    await run.close();
    const whole = await readFile(journal, "utf8");
    await writeFile(journal, whole.slice(0, -20));
    await follower.look();
    assert.deepEqual(types, ["run_started"]);
    assert.equal(follower.trouble, null);
    await appendFile(journal, whole.slice(-20));
    await follower.look();
    assert.deepEqual(types, ["run_started", "trial_created"]);
  });

  it("keeps what it has read of a journal that is broken, and goes on when it is mended", async () => {
    const { run, types, follower, journal } = await followed();
    await follower.look();
    for (const trial of ["0001", "0002", "0003"]) run.record({ type: "trial_created", trial, parameters: {} });
    await run.close();
    const whole = await readFile(journal, "utf8");
    await writeFile(journal, whole.replace('"trial":"0002"', '"trial":"0009"'));
    await until("it is said", async () => (await follower.look()) && follower.trouble !== null);
    assert.match(follower.trouble ?? "", /journal\.jsonl:3: the checksum is .*, and valid records follow/);
    assert.deepEqual(types, ["run_started", "trial_created"]);
    assert.equal(await follower.look(), false);
    // Who writes it does not read it: it grows, and stays as damaged as it is.
    await appendFile(journal, "\n");
    for (let looks = 0; looks < 3; looks++) {
      await follower.look();
      assert.match(follower.trouble ?? "", /journal\.jsonl:3: the checksum is/);
    }
    await writeFile(journal, whole);
    assert.equal(await follower.look(), true);
    assert.equal(follower.trouble, null);
    assert.equal(types.length, 4, "none comes twice");
    assert.deepEqual([...follower.state.trials.keys()], ["0001", "0002", "0003"]);
  });

  it("tells of what is wrong for as long as it is", async () => {
    const { run, follower, dir } = await followed();
    await run.close();
    await follower.look();
    await mkdir(runFiles.lock(dir));
    assert.equal(await follower.look(), true);
    assert.match(follower.trouble ?? "", /lock/);
    await rmdir(runFiles.lock(dir));
    assert.equal(await follower.look(), true);
    assert.equal(follower.trouble, null);
  });

  it("begins again when the journal is another one", async () => {
    const { run, types, follower, journal, restarts } = await followed();
    run.record({ type: "trial_created", trial: "0001", parameters: {} });
    await run.close();
    await follower.look();
    const other = await followed();
    await other.run.close();
    await writeFile(`${journal}.new`, await readFile(other.journal));
    await rename(`${journal}.new`, journal);
    await follower.look();
    assert.deepEqual([restarts(), follower.trouble, follower.state.trials.size], [1, null, 0]);
    assert.deepEqual(types, ["run_started", "trial_created", "run_started"]);
    assert.equal(await follower.look(), false);
  });

  it("refuses a folder without a run", async () => {
    await assert.rejects(followRun(folder), /no run folder/);
  });
});
