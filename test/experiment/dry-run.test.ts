/** Looking ahead: the trials of a search, and their time by what others have taken. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment, type Experiment, type ExperimentInput } from "../../src/config/index.ts";
import { dryRun, runExperiment } from "../../src/experiment/index.ts";
import { dryRunText } from "../../src/report/index.ts";
import { earlierTrials } from "../../src/search/index.ts";
import { scriptedCluster } from "./scripted-cluster.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-dry-run-"));
  await writeFile(path.join(folder, "task.mjs"), "");
});
after(() => rm(folder, { recursive: true, force: true }));

const newDir = () => path.join(folder, `run-${++count}`);

type Search = NonNullable<ExperimentInput["search"]>;

function experimentOf(search: Search, more: Partial<ExperimentInput> = {}): Experiment {
  return defineExperiment({
    name: "test",
    trainer: { module: path.join(folder, "task.mjs"), parameters: { a: 1 } },
    search,
    ...more,
  });
}

/** Runs it: each trial reports three epochs, of its `n`. */
async function run(experiment: Experiment, runDir: string): Promise<void> {
  const cluster = scriptedCluster({
    slots: 4,
    trial: ({ configJson }) => {
      const n = JSON.parse(configJson).trainer.parameters.n;
      return { values: [n, n + 1, n + 0.5] };
    },
  });
  await runExperiment(cluster, experiment, { runDir }).results;
}

const n = (...values: number[]): Search["space"] => ({ "trainer.parameters.n": { grid: values } });

describe("a dry run", () => {
  it("lists the trials and says how to learn their time; writes nothing", async () => {
    const experiment = defineExperiment({
      name: "test",
      data: { dir: folder },
      train: { epochs: 7 },
      search: { space: { "train.epochs": { grid: [3, 5] }, "resources.replicas": { grid: [1, 2] } } },
    });
    const runDir = newDir();
    const plan = await dryRun(experiment, { runDir, gpus: 4 });
    assert.equal(existsSync(runDir), false);
    assert.equal(plan.total, 4);
    assert.deepEqual(
      plan.trials.map(({ trial, replicas, epochs, seconds }) => [trial, replicas, epochs, seconds]),
      [
        ["0001", 1, 3, null],
        ["0002", 2, 3, null],
        ["0003", 1, 5, null],
        ["0004", 2, 5, null],
      ],
    );
    assert.equal(plan.estimate.gpuHours, null);
    assert.match(
      plan.estimate.remarks.join(),
      /^the time is not known: no trial with 1 or 2 replicas on this data has reported an epoch, .*--run-dir DIR/,
    );
    const text = dryRunText(plan, 3);
    assert.match(text, /^run test: 4 trials by sampler grid; /);
    assert.match(text, /\n {2}train\.epochs {8}one of 3, 5\n/);
    assert.match(text, /\n {2}0003 {2}epochs=5 replicas=1 {2}1 replica {2}5 epochs\n {2}then 1 more\n/);
  });

  it("estimates by what trials have taken, in this run or in one that it starts from", async () => {
    const runDir = newDir();
    await run(experimentOf({ space: n(1, 2) }), runDir);
    const cases: [Search, string, number][] = [
      [{ space: n(1, 2, 3, 4, 5) }, runDir, 3],
      [{ space: n(1, 2, 3, 4, 5), warm_start: { runs: [runDir] } }, newDir(), 5],
    ];
    for (const [search, dir, left] of cases) {
      const plan = await dryRun(experimentOf(search), { runDir: dir, gpus: 2, extend: true });
      assert.equal(plan.trials.length, left);
      const [pace] = plan.estimate.paces;
      assert.ok(pace);
      assert.deepEqual([pace.trials, pace.replicas, pace.epochs, pace.run], [2, 1, 3, runDir]);
      const seconds = 3 * pace.secondsPerEpoch + pace.secondsBeside;
      assert.ok(seconds > 0 && seconds < 10, String(seconds));
      const near = (value: number | null, expected: number) =>
        assert.ok(Math.abs((value ?? 0) * 3600 - expected) < 1e-6, `${(value ?? 0) * 3600}, expected ${expected}`);
      near(plan.estimate.gpuHours, left * seconds);
      // Two at a time.
      near(plan.estimate.wallHours, Math.ceil(left / 2) * seconds);
      assert.equal(plan.estimate.concurrency, 2);
      assert.match(dryRunText(plan), /\nestimate: [\de.-]+ GPU hours, [\d.]+ s with 2 trials at once$/);
    }
    await assert.rejects(dryRun(experimentOf({ space: n(1, 2, 3) }), { runDir }), {
      code: "RUN_REFUSED",
      message: /continue it with --extend/,
    });
    const plan = await dryRun(experimentOf({ space: n(1, 2) }), { runDir, gpus: 2 });
    assert.equal(plan.toRun, 0);
    assert.match(
      dryRunText(plan),
      /2 trials by sampler grid, 2 ended before; .*\ntrials:\n {2}none: this run has ended$/s,
    );
  });

  it("takes trials that are drawn later for what the experiment says itself", async () => {
    const runDir = newDir();
    await run(experimentOf({ space: n(1, 2) }), runDir);
    const search: Search = {
      sampler: "tpe",
      limits: { trials: 4 },
      space: { "trainer.parameters.n": { uniform: [0, 9] } },
      warm_start: { runs: [runDir], configurations: [{ "trainer.parameters.n": 5 }] },
    };
    const plan = await dryRun(experimentOf(search), { runDir: newDir(), gpus: 2 });
    const { paces, wallHours, gpuHours, remarks } = plan.estimate;
    const [pace] = paces;
    assert.ok(pace && wallHours !== null && gpuHours !== null);
    const seconds = 3 * pace.secondsPerEpoch + pace.secondsBeside;
    assert.ok(Math.abs(wallHours * 3600 - 2 * seconds) < 1e-6);
    assert.ok(Math.abs(gpuHours * 3600 - 4 * seconds) < 1e-6);
    assert.deepEqual(remarks, ["3 trials are taken to have the experiment's own epochs and replicas"]);
    assert.match(dryRunText(plan), /\n {2}0001 .*\n {2}then 3 trials that sampler tpe draws later\n/);
  });

  it("knows what it can't know", async () => {
    const runDir = newDir();
    await run(experimentOf({ space: n(1, 2) }), runDir);
    const search: Search = {
      sampler: "random",
      limits: { target: 3 },
      space: { "trainer.parameters.n": { uniform: [0, 9] } },
    };
    const open = await dryRun(experimentOf({ ...search, warm_start: { runs: [runDir] } }), { runDir: newDir() });
    assert.equal(open.total, null);
    assert.deepEqual(open.estimate.remarks, ["the number of trials is open; search.limits.trials bounds it"]);
    const limits = { trials: 3, gpu_hours: 1e-9 };
    const noGpus = await dryRun(experimentOf({ ...search, limits, warm_start: { runs: [runDir] } }), {
      runDir: newDir(),
    });
    assert.deepEqual(noGpus.estimate.remarks, [
      "the wall time depends on the cluster; --gpus N reckons with N GPUs",
      "it ends after 1e-9 GPU hours",
    ]);
    const few = await dryRun(experimentOf({ ...search, limits, warm_start: { runs: [runDir] } }), {
      runDir: newDir(),
      gpus: 0,
    });
    assert.equal(few.estimate.remarks[0], "the largest trials do not fit such a cluster");
  });
});

describe("a warm start", () => {
  it("takes the ended trials of a run that lie in the space, with the values that they had", async () => {
    const runDir = newDir();
    await run(experimentOf({ space: n(1, 2, 30) }), runDir);
    const search: Search = {
      sampler: "random",
      limits: { trials: 1 },
      warm_start: { runs: [runDir] },
      space: { "trainer.parameters.n": { integer: [0, 9] }, "trainer.parameters.a": { choice: [0, 1] } },
    };
    const { trials, remarks } = await earlierTrials(experimentOf(search));
    assert.deepEqual(
      trials.map(({ id, parameters, outcome }) => ({ id, parameters, outcome })),
      [1, 2].map((value) => ({
        id: `000${value}`,
        parameters: { "trainer.parameters.n": value, "trainer.parameters.a": 1 },
        outcome: { state: "completed", value: value + 1 },
      })),
    );
    assert.deepEqual(
      trials.map(({ reports }) => reports.map(({ epoch, value }) => [epoch, value])),
      [1, 2].map((value) => [
        [1, value],
        [2, value + 1],
        [3, value + 0.5],
      ]),
    );
    assert.deepEqual(remarks, [`warm start: 2 of 3 ended trials of ${runDir} lie in this search space`]);
    await assert.rejects(earlierTrials(experimentOf({ ...search, mode: "min" })), {
      code: "CONFIG_INVALID",
      message: `search.warm_start.runs: ${runDir} ranks its trials by val_dice (max), expected val_dice (min) as this search`,
    });
    await assert.rejects(earlierTrials(experimentOf({ ...search, warm_start: { runs: [newDir()] } })), {
      code: "FILE_UNUSABLE",
    });
  });
});
