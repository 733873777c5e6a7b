/** Disks that are too small, or fill up. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { type RunEvent, type RunOptions, readRun, runExperiment, runFiles } from "../../src/experiment/index.ts";
import { openRun } from "../../src/run-folder/index.ts";
import { smallDisk } from "../support/small-disk.ts";
import { tinyRecords } from "../support/training.ts";
import { type ScriptOptions, scriptedCluster } from "./scripted-cluster.ts";

let folder = "";
let records = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-disk-"));
  records = await tinyRecords(folder);
  await writeFile(path.join(folder, "task.mjs"), "");
});
after(() => rm(folder, { recursive: true, force: true }));

async function run(
  experiment: Parameters<typeof runExperiment>[1],
  options: RunOptions,
  script: Partial<ScriptOptions> = {},
) {
  const started = runExperiment(scriptedCluster({ slots: 2, ...script }), experiment, options);
  const events: RunEvent[] = [];
  for await (const event of started) events.push(event);
  const said = events.flatMap((event) => (event.type === "log" && event.stream === "distmis" ? [event.text] : []));
  return { said, results: await started.results };
}

const failing = (attempt: Promise<unknown>): Promise<{ code?: string; message: string }> =>
  attempt.then(
    () => assert.fail("expected an error"),
    (error: { code?: string; message: string }) => error,
  );

describe("a disk without room for the checkpoints", () => {
  it("is refused before a trial starts, and may be insisted upon", async (t) => {
    const disk = smallDisk(t, path.join(folder, "small"), 2);
    if (disk === null) return;
    const experiment = defineExperiment({
      name: "large",
      data: { dir: records },
      model: { depth: 2 },
      search: { space: { "model.filters": { grid: [4, 8] }, "train.learning_rate": { grid: [1e-3, 1e-2] } } },
    });
    const options = { runDir: path.join(disk, "run") };
    const error = await failing(run(experiment, options));
    assert.equal(error.code, "DISK_FULL");
    assert.match(
      error.message,
      /^checkpoints of 4 trials take up to \d+\.\d MB \(\d\.\d MB each\), [12]\.\d MB are free in .*\/small\/run: make room, .*--no-disk-check and `distmis gc` now and then$/,
    );
    const { said, results } = await run(experiment, { ...options, diskCheck: false });
    assert.match(said[0] ?? "", /^checkpoints of 4 trials take up to .* are free in .*\/small\/run$/);
    assert.equal(results.trials.length, 4);
    // Nothing is to be written any more.
    assert.doesNotMatch((await run(experiment, options)).said.join(), /checkpoints of/);
  });
});

describe("a disk without room for a trial", () => {
  it("is refused by a search of which nobody knows how many trials it has", async (t) => {
    const disk = smallDisk(t, path.join(folder, "smaller"), 2);
    if (disk === null) return;
    const experiment = defineExperiment({
      name: "open",
      data: { dir: records },
      model: { depth: 2, filters: 64 },
      search: {
        sampler: "random",
        space: { "train.learning_rate": { uniform: [1e-3, 1e-2] } },
        limits: { wall_hours: 1 },
      },
    });
    const error = await failing(run(experiment, { runDir: path.join(disk, "run") }));
    assert.equal(error.code, "DISK_FULL");
    assert.match(
      error.message,
      /^checkpoints of a trial take up to \d+\.\d GB, [12]\.\d MB are free in .*\/run: room for 0 trials, of which/,
    );
  });
});

describe("a disk that fills up", () => {
  it("ends the run with the file's name, and the same command goes on once there is room", async (t) => {
    const disk = smallDisk(t, path.join(folder, "full"), 2);
    if (disk === null) return;
    const experiment = defineExperiment({
      name: "many",
      trainer: { module: path.join(folder, "task.mjs") },
      search: { space: { "trainer.parameters.n": { grid: Array.from({ length: 40 }, (_, index) => index) } } },
    });
    const filler = path.join(disk, "filler");
    await writeFile(filler, Buffer.alloc(1.9 * 2 ** 20));
    const options = { runDir: path.join(disk, "run") };
    const error = await failing(run(experiment, options));
    assert.equal(error.code, "DISK_FULL");
    assert.match(
      error.message,
      /\/full\/run\/.*: the disk is full, .*ENOSPC.*once there is room .*the same command continues it$/,
    );
    const before = await readRun(options.runDir);
    assert.equal(before.state.finished, false);
    assert.equal([...before.state.trials.values()].filter(({ state }) => state === "failed").length, 0);

    await rm(filler);
    const { results } = await run(experiment, options);
    assert.equal(results.state, "finished");
    assert.deepEqual(
      results.trials.map(({ trial, state, best }) => [trial, state, best?.value]),
      Array.from({ length: 40 }, (_, index) => [String(index + 1).padStart(4, "0"), "completed", 0.3]),
    );
  });

  it("fails no trial when a trainer meets it", async () => {
    const experiment = defineExperiment({
      name: "x",
      trainer: { module: path.join(folder, "task.mjs") },
      search: { space: { "trainer.parameters.n": { grid: [1, 2, 3] } } },
    });
    const options = { runDir: path.join(folder, "told") };
    const error = await failing(
      run(experiment, options, {
        trial: ({ trialId }) => (trialId === "0002" ? { end: "failed", errorCode: "DISK_FULL" } : {}),
      }),
    );
    assert.equal(error.code, "DISK_FULL");
    assert.match(
      error.message,
      /^trial 0002: .*; log: .*trainer\.log; the run has stopped; once there is room .*continues it$/,
    );
    assert.deepEqual((await readRun(options.runDir)).state.trials.get("0002")?.failures, 0);
    const { results } = await run(experiment, options);
    assert.deepEqual(
      results.trials.map(({ state }) => state),
      ["completed", "completed", "completed"],
    );
  });

  it("costs a journal no more than its last record", async (t) => {
    const disk = smallDisk(t, path.join(folder, "journal"), 1);
    if (disk === null) return;
    const experiment = defineExperiment({ name: "x", trainer: { module: "m.mjs" } });
    const dir = path.join(disk, "run");
    const first = await openRun(dir, experiment);
    let created = 0;
    let committed = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        // Long ones, so that the write that fails has moved a part of it.
        first.record({ type: "trial_created", trial: String(++created), parameters: { text: "x".repeat(50_000) } });
        await first.commit();
        committed = created;
      }
    };
    const error = await failing(fill());
    assert.equal(error.code, "DISK_FULL");
    assert.match(error.message, /\/run\/journal\.jsonl: the disk is full, .*ENOSPC/);
    assert.throws(() => first.record({ type: "run_ended", state: "finished" }), { code: "DISK_FULL" });
    await first.close();

    const reading = await readRun(dir);
    assert.equal(reading.state.trials.size, committed);
    assert.match(reading.torn ?? "", /the last record was cut short$/);
    // The torn end itself is the room that the next part begins with.
    const second = await openRun(dir, experiment);
    assert.equal(second.state.trials.size, committed);
    await second.close();
    assert.equal((await readRun(dir)).torn, null);
    await rm(runFiles.journal(dir));
  });
});

describe("a folder in which nothing can be written", () => {
  it("is named, with what to do", async (t) => {
    const disk = smallDisk(t, path.join(folder, "read-only"), 1, "ro");
    if (disk === null) return;
    const experiment = defineExperiment({ name: "x", trainer: { module: path.join(folder, "task.mjs") } });
    const error = await failing(run(experiment, { runDir: disk }));
    assert.equal(error.code, "FILE_UNUSABLE");
    assert.match(error.message, /\/read-only: can't be used as a run folder: EROFS.*; name another with --run-dir$/);
  });
});
