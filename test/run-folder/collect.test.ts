import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { findCheckpoint } from "../../src/inference/index.ts";
import {
  checkpointFiles,
  collectRun,
  openRun,
  previewFiles,
  type RunFolder,
  readRun,
  runFiles,
} from "../../src/run-folder/index.ts";
import { smallDisk } from "../support/small-disk.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-collect-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const experiment = defineExperiment({ name: "x", data: { dir: "data" } });
const { last, previous, best } = checkpointFiles;

/** A trial of two epochs, the first being its best one, with a checkpoint of 1000 bytes for each name. */
async function trialIn(run: RunFolder, trial: string, value: number, state: "completed" | "failed" | "pruned" | null) {
  run.record({ type: "trial_created", trial, parameters: {} });
  run.record({ type: "attempt_started", trial, attempt: 1, replicas: 1, nodes: ["n"], gpus: [] });
  const facts = { trial, attempt: 1, epochs: 2, seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1 };
  run.record({ type: "epoch", ...facts, epoch: 1, metrics: { val_dice: value }, checkpoint: best });
  run.record({ type: "epoch", ...facts, epoch: 2, metrics: { val_dice: value / 2 }, checkpoint: last });
  if (state !== null) run.record({ type: "trial_ended", trial, attempt: 1, state, metrics: {}, error: null });
  const dir = runFiles.trial(run.dir, trial);
  await mkdir(path.join(dir, checkpointFiles.dir), { recursive: true });
  for (const name of [last, best]) await writeFile(path.join(dir, name), Buffer.alloc(1000));
  await link(path.join(dir, best), path.join(dir, previous));
}

/** Trials 1 to 5: completed, the best; completed; failed; pruned; running when the orchestrator died. */
async function runIn(dir: string) {
  const run = await openRun(dir, experiment);
  await trialIn(run, "0001", 0.9, "completed");
  await trialIn(run, "0002", 0.5, "completed");
  await trialIn(run, "0003", 0.3, "failed");
  await trialIn(run, "0004", 0.2, "pruned");
  await trialIn(run, "0005", 0.8, null);
  await writeFile(path.join(dir, `${best.replace("checkpoints", "trials/0005/checkpoints")}.0123abcd.tmp`), "half");
  await run.commit();
  return run;
}

async function checkpointsOf(dir: string): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const trial of (await readdir(path.join(dir, "trials"))).toSorted()) {
    const names = await readdir(path.join(dir, "trials", trial, "checkpoints")).catch(() => []);
    found[trial] = names.map((name) => name.replace(".safetensors", "")).toSorted();
  }
  return found;
}

const newDir = () => path.join(folder, `run-${++count}`);

describe("collectRun", () => {
  it("makes room on a disk that is full to the last byte", async (t) => {
    const disk = smallDisk(t, newDir(), 1);
    if (disk === null) return;
    const dir = path.join(disk, "run");
    const run = await runIn(dir);
    await run.close();
    await writeFile(runFiles.resultsCsv(dir), "trial\n");
    const ballast = path.join(disk, "ballast");
    await assert.rejects(writeFile(ballast, Buffer.alloc(2 ** 21)), { code: "ENOSPC" });
    const rest = path.join(disk, "rest");
    await writeFile(rest, "");
    await assert.rejects(
      (async () => {
        for (;;) await writeFile(rest, "x".repeat(4096), { flag: "a" });
      })(),
      { code: "ENOSPC" },
    );
    const { freedBytes } = await collectRun(dir);
    assert.ok(freedBytes > 0);
    assert.match(await readFile(runFiles.resultsCsv(dir), "utf8"), /0001/);
  });

  it("keeps what unfinished trials have and completed ones are best in, and says what it has freed", async () => {
    const dir = newDir();
    await (await runIn(dir)).close();
    const before = await checkpointsOf(dir);
    const planned = await collectRun(dir, { dryRun: true });
    assert.deepEqual(await checkpointsOf(dir), before);

    const collected = await collectRun(dir);
    assert.deepEqual(await checkpointsOf(dir), {
      "0001": ["best"],
      "0002": ["best"],
      "0003": [],
      "0004": [],
      "0005": ["best", "last", "previous"],
    });
    assert.deepEqual({ ...collected, dryRun: true }, planned);
    // `last` of two trials, two files each of two more (of three names), and half a file.
    assert.equal(collected.freedBytes, 2 * 1000 + 2 * 2000 + 4);
    assert.equal(collected.keptBytes, 2 * 1000 + 2000);
    assert.deepEqual(collected.trials, ["0001", "0002", "0003", "0004"]);
    assert.deepEqual((await collectRun(dir)).files, []);
  });

  it("leaves a journal and results that name no checkpoint that is gone, and a run that goes on", async () => {
    const dir = newDir();
    await (await runIn(dir)).close();
    await collectRun(dir, { keepBest: 1 });
    assert.deepEqual((await checkpointsOf(dir))["0002"], []);
    const { state } = await readRun(dir);
    const named = [...state.trials.values()].map(({ id, values, collected }) => {
      return [id, collected, ...[...values].map(({ checkpoint }) => checkpoint)];
    });
    assert.deepEqual(named, [
      ["0001", true, best, ""],
      ["0002", true, "", ""],
      ["0003", true, "", ""],
      ["0004", true, "", ""],
      ["0005", false, best, last],
    ]);
    const rows = (await readFile(runFiles.resultsJsonl(dir), "utf8")).trimEnd().split("\n");
    assert.deepEqual(
      rows.map((row) => JSON.parse(row)).map(({ trial, best }) => [trial, best.value, best.checkpoint]),
      [
        ["0001", 0.9, best],
        ["0005", 0.8, best],
        ["0002", 0.5, ""],
        ["0003", 0.3, ""],
        ["0004", 0.2, ""],
      ],
    );
    assert.equal(await findCheckpoint(dir), path.join(dir, "trials/0001", best));
    const gone = /was removed by `distmis gc`; the run's best model is kept: name .*\/run-\d+$/;
    await assert.rejects(findCheckpoint(path.join(dir, "trials/0002")), { message: gone });
    await assert.rejects(findCheckpoint(path.join(dir, "trials/0001", last)), { message: gone });

    const again = await openRun(dir, experiment);
    assert.equal(again.torn, null);
    assert.equal(again.state.trials.get("0005")?.state, "waiting");
    await again.close();
  });

  it("never removes the checkpoint of the run's best trial, whatever became of it", async () => {
    const dir = newDir();
    const run = await openRun(dir, experiment);
    await trialIn(run, "0001", 0.9, "failed");
    await run.close();
    await collectRun(dir);
    assert.deepEqual((await checkpointsOf(dir))["0001"], ["best"]);
  });

  it("is refused while an orchestrator works there, but may look", async () => {
    const dir = newDir();
    const run = await runIn(dir);
    await assert.rejects(collectRun(dir), {
      code: "RUN_REFUSED",
      message: new RegExp(`worked on by process ${process.pid} on host .*, or look with --dry-run only$`),
    });
    assert.ok((await collectRun(dir, { dryRun: true })).files.length > 0);
    await run.close();
  });

  it("leaves the files of a trainer module of the user's own alone", async () => {
    const dir = newDir();
    const own = defineExperiment({ name: "x", trainer: { module: "m.mjs" } });
    const run = await openRun(dir, own);
    await trialIn(run, "0001", 0.9, "failed");
    await run.close();
    const { files, keptBytes } = await collectRun(dir);
    assert.deepEqual([files, keptBytes], [[], 2000]);
  });

  it("takes segmentations away with the checkpoints of trials that it lets go", async () => {
    const dir = newDir();
    const run = await runIn(dir);
    for (const trial of ["0001", "0002", "0003", "0005"]) {
      const folder = path.join(dir, "trials", trial, previewFiles.dir);
      await mkdir(folder);
      for (const file of [previewFiles.facts(1), previewFiles.volume(1, 0), previewFiles.picture(1)])
        await writeFile(path.join(dir, "trials", trial, file), "x");
    }
    const left = async () => {
      const trials = await readdir(path.join(dir, "trials"));
      return trials.filter((trial) => existsSync(path.join(dir, "trials", trial, previewFiles.dir))).toSorted();
    };
    await run.close();
    await collectRun(dir);
    assert.deepEqual(await left(), ["0001", "0002", "0005"], "not of the failed one");
    await collectRun(dir, { keepBest: 1 });
    assert.deepEqual(await left(), ["0001", "0005"]);
  });
});
