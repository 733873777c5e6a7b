/** Runs that go on with an experiment that asks for more. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment, type Experiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, type RunOptions, readRun, runExperiment } from "../../src/experiment/index.ts";
import { scriptedCluster, type TrialScript } from "./scripted-cluster.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-extend-"));
  await writeFile(path.join(folder, "task.mjs"), "");
});
after(() => rm(folder, { recursive: true, force: true }));

const newDir = () => path.join(folder, `run-${++count}`);

function experimentOf(n: number[], more: Partial<ExperimentInput> = {}): Experiment {
  return defineExperiment({
    name: "test",
    trainer: { module: path.join(folder, "task.mjs") },
    train: { epochs: 3 },
    search: { space: { "trainer.parameters.n": { grid: n } } },
    ...more,
  });
}

/** Reports as many epochs as its configuration says, of a value that follows from both. */
function obedient(configJson: string): TrialScript {
  const { train, trainer } = JSON.parse(configJson);
  return { values: Array.from({ length: train.epochs }, (_, index) => trainer.parameters.n + index / 10) };
}

async function run(runDir: string, experiment: Experiment, options: Partial<RunOptions> = {}, trial = obedient) {
  const cluster = scriptedCluster({ slots: 2, trial: ({ configJson }) => trial(configJson) });
  const started = runExperiment(cluster, experiment, { runDir, ...options });
  const events: RunEvent[] = [];
  for await (const event of started) events.push(event);
  const said = events.flatMap((event) => (event.type === "log" && event.stream === "distmis" ? [event.text] : []));
  const assigned = cluster.assignments.map(({ trialId, attempt }) => `${trialId}/${attempt}`).toSorted();
  return { said, assigned, results: await started.results };
}

describe("--extend", () => {
  it("lets trials that went through all their epochs go on with more, also of a finished run", async () => {
    const runDir = newDir();
    await run(runDir, experimentOf([1, 2]));
    const longer = experimentOf([1, 2], { train: { epochs: 5 } });
    await assert.rejects(run(runDir, longer), {
      code: "RUN_REFUSED",
      message:
        /another experiment; continue it with --extend, undo the change, or .*\n {2}train\.epochs: 3 before, 5 now$/,
    });
    const extended = await run(runDir, longer, { extend: true });
    assert.deepEqual(extended.assigned, ["0001/2", "0002/2"]);
    assert.deepEqual(extended.said, [
      "extended: train.epochs: 3 before, 5 now",
      "trials 0001, 0002 had ended and go on",
    ]);
    assert.equal(extended.results.state, "finished");
    assert.deepEqual(
      extended.results.trials.map(({ trial, epoch, best }) => [trial, epoch, best?.value]),
      [
        ["0002", 5, 2.4],
        ["0001", 5, 1.4],
      ],
    );
    // It is the experiment of the run from now on.
    assert.deepEqual((await run(runDir, longer)).assigned, []);
    assert.deepEqual((await run(runDir, longer, { extend: true })).said, []);
    await assert.rejects(run(runDir, experimentOf([1, 2])), /train\.epochs: 5 before, 3 now$/);
  });

  it("survives a stop before the reopened trials have ended", async () => {
    const runDir = newDir();
    await run(runDir, experimentOf([1, 2]));
    const longer = experimentOf([1, 2], { train: { epochs: 4 } });
    const stop = new AbortController();
    stop.abort();
    assert.equal((await run(runDir, longer, { extend: true, signal: stop.signal })).results.state, "interrupted");
    assert.deepEqual((await run(runDir, longer)).assigned, ["0001/2", "0002/2"]);
  });

  it("leaves alone what had ended early, failed, or does not follow train.epochs", async () => {
    const runDir = newDir();
    const early = (json: string): TrialScript => {
      const { n } = JSON.parse(json).trainer.parameters;
      const script = obedient(json);
      if (n === 2) return { ...script, end: "failed" };
      return n === 3 ? { values: [0.1, 0.2] } : script;
    };
    await run(runDir, experimentOf([1, 2, 3]), {}, early);
    const longer = experimentOf([1, 2, 3], { train: { epochs: 5 } });
    assert.deepEqual((await run(runDir, longer, { extend: true })).assigned, ["0001/2"]);
  });

  it("runs the combinations that a wider grid adds, and no other again", async () => {
    const runDir = newDir();
    await run(runDir, experimentOf([2, 3]));
    const wider = await run(runDir, experimentOf([1, 2, 3, 4]), { extend: true });
    assert.deepEqual(wider.assigned, ["0003/1", "0004/1"]);
    assert.deepEqual(
      wider.results.trials.map(({ parameters }) => parameters["trainer.parameters.n"]).toSorted(),
      [1, 2, 3, 4],
    );
  });

  it("takes wider ranges and other limits, and refuses narrower ranges", async () => {
    const runDir = newDir();
    const random = (low: number, high: number, trials: number) =>
      experimentOf([], {
        search: {
          sampler: "random",
          limits: { trials },
          space: { "trainer.parameters.n": { uniform: [low, high] } },
        },
      });
    const first = await run(runDir, random(1, 2, 3));
    const { assigned, results } = await run(runDir, random(-9, -1 + 3, 5), { extend: true });
    assert.deepEqual(assigned, ["0004/1", "0005/1"]);
    const drawn = (rows: typeof results.trials) =>
      rows.map(({ trial, parameters }) => [trial, parameters["trainer.parameters.n"]]).toSorted();
    assert.deepEqual(drawn(results.trials).slice(0, 3), drawn(first.results.trials));
    await assert.rejects(
      run(runDir, random(0, 2, 6), { extend: true }),
      /\n {2}search\.space\.trainer\.parameters\.n\.uniform: \[-9,2\] before, \[0,2\] now; expected what was there, and more$/,
    );
  });

  it("takes ranges in steps on which the values so far lie", async () => {
    const runDir = newDir();
    const stepped = (low: number, high: number) =>
      experimentOf([], {
        search: {
          sampler: "random",
          limits: { trials: 2 },
          space: { "trainer.parameters.n": { integer: [low, high], step: 4 } },
        },
      });
    await run(runDir, stepped(4, 16));
    await assert.rejects(
      run(runDir, stepped(2, 16), { extend: true }),
      /integer: \[4,16\] before, \[2,16\] now; expected what was there, and more$/,
    );
    await run(runDir, stepped(-4, 18), { extend: true });
  });

  it("refuses what would make the trials incomparable, naming every field", async () => {
    const runDir = newDir();
    await run(runDir, experimentOf([1, 2]));
    const other = experimentOf([1, 4], {
      train: { epochs: 2, seed: 7 },
      model: { depth: 2 },
      search: {
        metric: "val_loss",
        mode: "min",
        space: { "trainer.parameters.n": { grid: [1, 4] }, "trainer.parameters.m": { grid: [1] } },
      },
      resources: { max_concurrent_trials: 1 },
    });
    await assert.rejects(run(runDir, other, { extend: true }), (error: Error) => {
      const [first, ...lines] = error.message.split("\n");
      assert.match(
        first ?? "",
        /--extend can't change what the trials so far have in common; undo this, or start anew/,
      );
      assert.deepEqual(
        lines.map((line) => line.trim()),
        [
          "model.depth: 3 before, 2 now",
          "train.epochs: 3 before, 2 now",
          "train.seed: 1 before, 7 now",
          'search.metric: "val_dice" before, "val_loss" now',
          'search.mode: "max" before, "min" now',
          "search.space.trainer.parameters.n.grid: [1,2] before, [1,4] now; expected what was there, and more",
          "search.space.trainer.parameters.m: is new, the trials so far do not have it",
        ],
      );
      return true;
    });
    await assert.rejects(run(newDir(), other, { extend: true }), /holds no run that --extend could continue/);
  });

  it("says so where a schedule now ends later", async () => {
    const runDir = newDir();
    await run(runDir, experimentOf([1], { train: { epochs: 2, schedule: "cosine" } }));
    const longer = experimentOf([1], { train: { epochs: 3, schedule: "cosine" } });
    const { said } = await run(runDir, longer, { extend: true });
    assert.match(said[2] ?? "", /^trial 0001: the learning rate follows train\.schedule over the new number of epochs/);
  });
});

describe("--retry-failed", () => {
  it("runs failed trials again, and only those", async () => {
    const runDir = newDir();
    const experiment = experimentOf([1, 2]);
    const failing = (json: string): TrialScript =>
      JSON.parse(json).trainer.parameters.n === 2 ? { values: [], end: "failed" } : obedient(json);
    assert.equal((await run(runDir, experiment, {}, failing)).results.trials[1]?.state, "failed");
    const { results, assigned, said } = await run(runDir, experiment, { retryFailed: true });
    assert.deepEqual(assigned, ["0002/2"]);
    assert.deepEqual(said, ["trial 0002 had ended and goes on"]);
    assert.deepEqual(
      results.trials.map(({ state, error }) => [state, error]),
      [
        ["completed", null],
        ["completed", null],
      ],
    );
    assert.deepEqual((await run(runDir, experiment, { retryFailed: true })).assigned, []);
    assert.equal((await readRun(runDir)).state.finished, true);
  });
});
