import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { analyseRun, compareRuns, importanceOf } from "../../src/analysis/index.ts";
import { axesOf, defineExperiment, type ExperimentInput, gridPoints } from "../../src/config/index.ts";
import { analysisText, comparisonText } from "../../src/report/index.ts";
import { openRun, readRun, trialId } from "../../src/run-folder/index.ts";
import { repositoryRoot } from "../support/python.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-analysis-"));
  await runFolder("whole");
  await runFolder("other", {
    train: { epochs: 7 },
    search: { metric: "score", space: { "train.learning_rate": { grid: RATES } } },
    value: (rate) => rate * 3,
    ended: 3,
  });
});
after(() => rm(folder, { recursive: true, force: true }));

const RATES = [0.001, 0.01, 0.1];
const MANY_RATES = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128];
const NORMS = ["batch", "group"];
const SPACE = { "train.learning_rate": { grid: RATES }, "model.norm": { grid: NORMS } };

interface RunPlan {
  search?: ExperimentInput["search"];
  train?: ExperimentInput["train"];
  /** The value of a trial by its rate and norm; null fails it. */
  value?: (rate: number, norm: string) => number | null;
  /** How many trials of the grid end; the next one is running. */
  ended?: number;
}

/** A run folder as an orchestrator leaves it, and the folder's path. */
async function runFolder(name: string, { search, train, value, ended = 6 }: RunPlan = {}): Promise<string> {
  const experiment = defineExperiment({
    name: "made",
    trainer: { module: path.join(folder, "task.mjs") },
    train: train ?? {},
    search: { metric: "score", space: SPACE, ...search },
  });
  const dir = path.join(folder, name);
  const run = await openRun(dir, experiment);
  const { metric } = experiment.search;
  for (const [index, parameters] of [...gridPoints(axesOf(experiment))].slice(0, ended + 1).entries()) {
    const trial = trialId(index + 1);
    run.record({ type: "trial_created", trial, parameters });
    run.record({ type: "attempt_started", trial, attempt: 1, replicas: 1, nodes: ["n"], gpus: ["0"] });
    if (index === ended) break;
    const rate = Number(parameters["train.learning_rate"]);
    const norm = String(parameters["model.norm"]);
    const reached = (value ?? ((a, b) => a * (b === "batch" ? 1 : 1.5)))(rate, norm);
    const metrics = { [metric]: reached ?? 0 };
    const report = { epoch: 1, epochs: 1, metrics, seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1 };
    if (reached !== null) run.record({ type: "epoch", trial, attempt: 1, ...report, checkpoint: "" });
    const state = reached === null ? "failed" : "completed";
    run.record({
      type: "trial_ended",
      trial,
      attempt: 1,
      state,
      metrics: {},
      error: reached === null ? "broken" : null,
    });
  }
  if (ended >= 6) run.record({ type: "run_ended", state: "finished" });
  await run.commit();
  await run.close();
  return dir;
}

async function distmis(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = ["--import", import.meta.resolve("tsx"), path.join(repositoryRoot, "src/cli/main.ts"), ...args];
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, command, { cwd: folder })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

const wide = { width: Number.POSITIVE_INFINITY };

describe("the analysis of a run", { timeout: 120_000 }, () => {
  it("tells its state, its best trial, and how trials did by value", async () => {
    const reading = await readRun(path.join(folder, "whole"));
    const analysis = analyseRun(reading);
    assert.deepEqual([analysis.state, analysis.counts.completed, analysis.counts.failed], ["finished", 6, 0]);
    assert.deepEqual(analysis.best?.parameters, { "train.learning_rate": 0.1, "model.norm": "group" });
    assert.equal(analysis.best?.best?.value, 0.1 * 1.5);
    const [rates, norms] = analysis.marginals;
    assert.deepEqual(
      rates?.values.map(({ value, trials, best }) => [value, trials, best]),
      RATES.map((rate) => [rate, 2, rate * 1.5]),
    );
    assert.deepEqual(
      norms?.values.map(({ value, trials }) => [value, trials]),
      [
        ["batch", 3],
        ["group", 3],
      ],
    );
    assert.ok(Math.abs((norms?.values[0]?.mean ?? 0) - 0.037) < 1e-12);
    const text = analysisText(analysis, null, wide);
    assert.match(text, /^run made: finished; 6 trials \(6 completed\); .* of wall time; 0(\.\d+)? GPU hours\n/);
    assert.match(text, /│ norm +│ batch │ +3 │ 0\.0370 │ 0\.1000 │/);
    assert.match(
      text,
      /best trial 0006: score 0\.1500 at epoch 1 \(learning_rate=0\.1 norm=group\)\nits folder: .*0006$/,
    );
  });

  it("asks Optuna which parameters matter", async () => {
    const wider = { ...SPACE, "train.learning_rate": { grid: MANY_RATES } };
    const dir = await runFolder("enough", { search: { metric: "score", space: wider }, ended: 16 });
    const importance = await importanceOf(await readRun(dir));
    assert.deepEqual([importance.trials, importance.best, importance.missing], [16, 8, null]);
    assert.match(
      analysisText(analyseRun(await readRun(dir)), importance, wide),
      /\nimportance for score, from 16 completed trials \(what tells the best 8 from the rest, PED-ANOVA\):\n/,
    );
    assert.deepEqual(importance.shares?.map(({ parameter }) => parameter).toSorted(), [
      "model.norm",
      "train.learning_rate",
    ]);
    const sum = importance.shares?.reduce((all, { share }) => all + share, 0) ?? 0;
    assert.ok(Math.abs(sum - 1) < 1e-6, `${sum}`);
    const python = process.env.DISTMIS_PYTHON;
    process.env.DISTMIS_PYTHON = "/nowhere/python";
    try {
      const { shares, missing } = await importanceOf(await readRun(dir));
      assert.equal(shares, null);
      assert.match(missing ?? "", /\/nowhere\/python .*distmis setup/);
    } finally {
      if (python === undefined) delete process.env.DISTMIS_PYTHON;
      else process.env.DISTMIS_PYTHON = python;
    }
  });

  it("works on a run that was interrupted, with few and failed trials", async () => {
    const dir = await runFolder("part", { ended: 3, value: (rate) => (rate > 0.005 ? null : rate) });
    const reading = await readRun(dir);
    const analysis = analyseRun(reading);
    const { completed, failed, waiting } = analysis.counts;
    assert.deepEqual([analysis.state, completed, failed, waiting], ["interrupted", 2, 1, 1]);
    assert.deepEqual(analysis.marginals, []);
    const importance = await importanceOf(reading);
    assert.match(importance.missing ?? "", /it takes 16 completed ones with a value of score, this run has 2$/);
    assert.match(
      analysisText(analysis, importance, wide),
      /\nimportance of parameters: too few trials for an estimate: /,
    );
  });
});

describe("the comparison of runs", () => {
  it("names the best of all, what was searched in all, and where the experiments differ", async () => {
    const readings = [await readRun(path.join(folder, "whole")), await readRun(path.join(folder, "other"))];
    const comparison = compareRuns(readings);
    assert.deepEqual(comparison.common, ["train.learning_rate"]);
    assert.equal(comparison.comparable, true);
    assert.deepEqual(comparison.differences, [{ field: "train.epochs", values: [20, 7] }]);
    const text = comparisonText(readings.map(analyseRun), comparison, wide);
    assert.match(
      text,
      /\nbest of all: trial 0003 of other, score 0\.3000\nsearched in all of them: train\.learning_rate\n/,
    );
    assert.match(text, /│ train\.epochs │ +20 │ +7 │/);
  });

  it("says where values can't be compared", async () => {
    const loss = await runFolder("loss", { search: { metric: "loss", mode: "min", space: SPACE } });
    const readings = [await readRun(path.join(folder, "whole")), await readRun(loss)];
    const comparison = compareRuns(readings);
    assert.equal(comparison.comparable, false);
    assert.match(comparisonText(readings.map(analyseRun), comparison, wide), /rank their trials by different metrics/);
  });
});

describe("distmis results", { timeout: 240_000 }, () => {
  it("prints tables, JSON and CSV, and writes a file for optuna-dashboard", async () => {
    const { stdout, stderr, code } = await distmis("results", "whole", "--top", "2");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(
      stdout,
      /^run made: finished; 6 trials[\s\S]*and 4 more in results\.csv\nimportance of parameters: too few trials for an estimate: /,
    );
    const json = JSON.parse((await distmis("results", "whole", "--json", "--no-importance", "--top", "1")).stdout);
    assert.deepEqual([json.trials.length, json.best.trial, json.importance], [1, "0006", null]);
    const csv = await distmis("results", "whole", "other", "--csv");
    const [head = "", ...rows] = csv.stdout.trimEnd().split("\n");
    assert.match(head, /^run,trial,state,train\.learning_rate,model\.norm,epochs,best_score,best_epoch,last_score,/);
    assert.equal(rows.length, 9);
    const optuna = await distmis("results", "whole", "--optuna", "study.journal", "--no-importance");
    assert.match(optuna.stderr, /^wrote 6 trials to study\.journal; `optuna-dashboard study\.journal` shows them\n$/);
    await access(path.join(folder, "study.journal"));
  });

  it("says in one line what is wrong", async () => {
    await writeFile(path.join(folder, "file"), "");
    const cases: [string[], RegExp][] = [
      [["whale"], /whale: there is no such run folder; did you mean .*whole\?\n$/],
      [["."], /no run folder, it has no journal\.jsonl; name one of the runs in it: /],
      [["whole", "--csv", "--json"], /^distmis: expected one of --json and --csv, found both\n/],
      [["whole", "--top", "0"], /^distmis: --top 0: expected a whole number of at least 1\n/],
      [["whole", "other", "--optuna", "x.db"], /^distmis: --optuna: expected one run/],
      [["whole", "--optuna", "file", "--no-importance"], /file exists: delete it, or name another file\n$/],
    ];
    await Promise.all(
      cases.map(async ([args, expected]) => {
        const { code, stdout, stderr } = await distmis("results", ...args);
        assert.deepEqual([code, stdout], [2, ""], stderr);
        assert.match(stderr, expected);
      }),
    );
  });
});
