/** Searches that end by a limit, and go on from there. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment, type Experiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, type RunOptions, readRun, runExperiment } from "../../src/experiment/index.ts";
import { type ScriptOptions, scriptedCluster, type TrialScript } from "./scripted-cluster.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-limits-"));
  await writeFile(path.join(folder, "task.mjs"), "");
});
after(() => rm(folder, { recursive: true, force: true }));

const newDir = () => path.join(folder, `run-${++count}`);

type Search = NonNullable<ExperimentInput["search"]>;

/** A search over n, 0 to 9. */
function experimentOf(limits: Search["limits"], more: Partial<Search> = {}): Experiment {
  return defineExperiment({
    name: "test",
    trainer: { module: path.join(folder, "task.mjs") },
    search: { space: { "trainer.parameters.n": { integer: [0, 9] } }, limits, ...more },
  });
}

/** Runs it on two GPUs, a trial as the script says by its n. */
async function run(
  experiment: Experiment,
  trial: (n: number, attempt: number) => TrialScript,
  options: Partial<RunOptions> & Partial<ScriptOptions> = {},
) {
  const { slots = 2, ...rest } = options;
  const script = (configJson: string, attempt: number) => trial(JSON.parse(configJson).trainer.parameters.n, attempt);
  const cluster = scriptedCluster({ slots, trial: ({ configJson, attempt }) => script(configJson, attempt) });
  const runDir = options.runDir ?? newDir();
  const started = runExperiment(cluster, experiment, { ...rest, runDir });
  const events: RunEvent[] = [];
  for await (const event of started) events.push(event);
  const said = events.flatMap((event) => (event.type === "log" && event.stream === "distmis" ? [event.text] : []));
  const causes: string[] = [];
  const { state } = await readRun(runDir, (record) => {
    if (record.type === "attempt_ended") causes.push(`${record.trial} ${record.cause}: ${record.error}`);
  });
  return { cluster, events, said, causes, state, runDir, results: await started.results };
}

const states = (trials: readonly { trial: string; state: string }[]): string[] =>
  trials.toSorted((a, b) => (a.trial < b.trial ? -1 : 1)).map(({ state }) => state);

describe("limits", () => {
  it("trials: so many are made, and more when the limit is raised", async () => {
    const { results, events, state, runDir } = await run(experimentOf({ trials: 3 }), () => ({}));
    assert.deepEqual(states(results.trials), ["completed", "completed", "completed"]);
    assert.equal(results.limit, "search.limits.trials: 3 trials");
    assert.equal(state.limit, results.limit);
    const [first] = events;
    assert.equal(first?.type === "run_started" && first.trials, 3);
    const again = await run(experimentOf({ trials: 5 }), () => ({}), { runDir, extend: true });
    assert.deepEqual(again.cluster.assignments.map(({ trialId }) => trialId).toSorted(), ["0004", "0005"]);
  });

  it("target: running trials end after their step, the run has finished, and goes on with a higher one", async () => {
    const better = (n: number, attempt: number): TrialScript =>
      attempt > 1 || n > 3
        ? { values: [0.6] }
        : { values: n === 3 ? [0.5, 0.95] : [0.5], end: n < 2 ? "completed" : "hang" };
    const { results, said, causes, state, events, runDir } = await run(experimentOf({ target: 0.9 }), better);
    const text = "search.limits.target: trial 0004 has val_dice 0.95, at least 0.9 was asked for";
    assert.equal(results.state, "finished");
    assert.equal(results.limit, text);
    assert.equal(results.best?.trial, "0004");
    assert.deepEqual(states(results.trials), ["completed", "completed", "waiting", "waiting"]);
    assert.deepEqual(causes.toSorted(), [`0003 limit: ${text}`, `0004 limit: ${text}`]);
    assert.deepEqual(said, [`the search ends, running trials after their step: ${text}`]);
    assert.equal(state.limit, text);
    const last = events.at(-1);
    assert.equal(last?.type === "run_ended" && last.limit, text);
    // Shown again, not run.
    const shown = await run(experimentOf({ target: 0.9 }), better, { runDir });
    assert.equal(shown.results.limit, text);
    assert.equal(shown.cluster.assignments.length, 0);
    const more = await run(experimentOf({ target: 0.99 }), better, { runDir, extend: true });
    assert.equal(more.results.trials.length, 10);
    assert.ok(more.cluster.assignments.some(({ trialId, attempt }) => trialId === "0003" && attempt === 2));
  });

  it("target: less is better with mode min", async () => {
    const { results } = await run(experimentOf({ target: 0.2 }, { mode: "min" }), (n) => ({ values: [0.5 - n / 10] }));
    assert.match(
      results.limit ?? "",
      /^search\.limits\.target: trial 0004 has val_dice 0\.2, at most 0\.2 was asked for$/,
    );
  });

  it("wall_hours: all parts of the run together", async () => {
    const { results, causes, runDir, state } = await run(experimentOf({ wall_hours: 0.3 / 3600 }), () => ({
      end: "hang",
    }));
    assert.equal(results.state, "finished");
    assert.match(results.limit ?? "", /^search\.limits\.wall_hours: the run has taken 0\.0000\d+ hours$/);
    assert.equal(causes.length, 2);
    assert.ok(state.wallSeconds >= 0.3 && state.wallSeconds < 30, String(state.wallSeconds));
    // An hour of which nearly nothing is left.
    const hours = (state.wallSeconds + 0.2) / 3600;
    const more = await run(experimentOf({ wall_hours: hours }), () => ({ end: "hang" }), { runDir, extend: true });
    assert.match(more.results.limit ?? "", /wall_hours/);
    assert.ok(more.state.wallSeconds >= hours * 3600);
  });

  it("gpu_hours: the GPUs of each trial times its time", async () => {
    const experiment = defineExperiment({
      ...experimentOf({ gpu_hours: 0.6 / 3600 }),
      resources: { gpus_per_replica: 0.5, replicas: 2 },
    });
    const { results, state, causes } = await run(experiment, () => ({ end: "hang" }), { slots: 4 });
    assert.match(results.limit ?? "", /^search\.limits\.gpu_hours: its trials have taken 0\.000\d+ GPU hours$/);
    assert.equal(causes.length, 2);
    const [first, second] = [...state.trials.values()];
    assert.ok(first && second);
    // Two trials with a GPU each.
    assert.equal(first.gpuSeconds.toFixed(3), first.seconds.toFixed(3));
    const seconds = first.gpuSeconds + second.gpuSeconds;
    // The journal counts from the attempt's start, the limit from when the gang was given to it.
    assert.ok(seconds > 0.1 && seconds < 30, String(seconds));
  });

  it("plateau: no more trials are made, those that run go on to their end", async () => {
    const values = [0.1, 0.3, 0.2, 0.3001, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9];
    const limits = { plateau: { trials: 3, min_delta: 0.01 } };
    const one = await run(experimentOf(limits), (n) => ({ values: [values[n] ?? 0] }), { slots: 1 });
    const text = "search.limits.plateau: 3 trials have ended since trial 0002 had val_dice 0.3, none better by 0.01";
    assert.equal(one.results.limit, text);
    assert.ok(one.said.includes(`no more trials: ${text}`));
    assert.equal(one.results.state, "finished");
    // The sixth may have been given to the gang already.
    assert.ok(one.results.trials.length <= 6, String(one.results.trials.length));
    assert.ok(one.results.trials.every(({ state }) => state === "completed"));
    const raised = { plateau: { trials: 6, min_delta: 0.01 } };
    const more = await run(experimentOf(raised), (n) => ({ values: [values[n] ?? 0] }), {
      slots: 1,
      runDir: one.runDir,
      extend: true,
    });
    assert.equal(more.results.trials.length, 10);
    assert.equal(more.results.limit, null);
  });

  it("a stop by the user is no limit", async () => {
    const stop = new AbortController();
    const { results, causes, runDir } = await run(
      experimentOf({ target: 0.9, trials: 4 }),
      (n) => {
        if (n === 1) setImmediate(() => stop.abort());
        return { values: [0.5], end: "hang" };
      },
      { signal: stop.signal },
    );
    assert.equal(results.state, "interrupted");
    assert.equal(results.limit, null);
    assert.deepEqual(causes.toSorted(), [
      "0001 interrupted: stopped by the user",
      "0002 interrupted: stopped by the user",
    ]);
    const again = await run(experimentOf({ target: 0.9, trials: 4 }), () => ({}), { runDir });
    assert.equal(again.results.trials.length, 4);
    assert.equal(again.results.state, "finished");
  });
});

describe("random search", () => {
  const search: Search = {
    sampler: "random",
    space: {
      "trainer.parameters.n": { uniform: [0, 1] },
      "trainer.parameters.kind": { choice: ["a", "b"] },
      "trainer.parameters.of_b": { integer: [1, 9], when: { "trainer.parameters.kind": ["b"] } },
    },
  };

  it("that was stopped ends with the table of one that was not", async () => {
    const script = (n: number): TrialScript => ({ values: [n / 2, n] });
    const experiment = experimentOf({ trials: 12 }, search);
    const whole = await run(experiment, script);
    const stop = new AbortController();
    let begun = 0;
    const first = await run(
      experiment,
      (n) => {
        if (++begun === 5) setImmediate(() => stop.abort());
        return begun > 4 ? { values: [], end: "hang" } : script(n);
      },
      { signal: stop.signal },
    );
    assert.equal(first.results.state, "interrupted");
    const rest = await run(experiment, script, { runDir: first.runDir });
    const table = ({ results }: typeof whole) =>
      results.trials.map(({ trial, parameters, best }) => ({ trial, parameters, best }));
    assert.deepEqual(table(rest), table(whole));
    assert.equal(whole.results.trials.length, 12);
    const parameters = whole.results.trials.map((trial) => trial.parameters);
    for (const each of parameters) {
      assert.equal("trainer.parameters.of_b" in each, each["trainer.parameters.kind"] === "b");
    }
  });
});
