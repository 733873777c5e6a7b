/** Adaptive searches and pruners on a real Ray with real trainer processes. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect } from "../../src/cluster/index.ts";
import { defineExperiment, type Experiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, type RunOptions, runExperiment, runFiles } from "../../src/experiment/index.ts";
import { createReporter } from "../../src/report/index.ts";

let folder = "";
let cluster: Cluster;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-pruning-"));
  cluster = await connect({ gpus: 2, cpus: 2 });
});
after(async () => {
  await cluster?.close();
  await rm(folder, { recursive: true, force: true });
});

const EPOCHS = 60;

function experimentOf(name: string, search: ExperimentInput["search"], parameters: object = {}): Experiment {
  const module = path.join(import.meta.dirname, "../fixtures/tasks/bowl.mjs");
  return defineExperiment({ name, trainer: { module, parameters: { epochs: EPOCHS, x: 0, ...parameters } }, search });
}

async function run(experiment: Experiment, options: Partial<RunOptions> = {}, onEvent?: (event: RunEvent) => void) {
  const started = runExperiment(cluster, experiment, { runDir: path.join(folder, experiment.name), ...options });
  const events: RunEvent[] = [];
  for await (const event of started) {
    events.push(event);
    onEvent?.(event);
  }
  return { events, results: await started.results };
}

describe("pruning", () => {
  it("ends bad trials of a grid early and runs the best to its end", async () => {
    const x = [0.3, 0.25, 0.35, 0.2, -2, 0.9, 3, 0.31, -5, 4];
    const search: ExperimentInput["search"] = {
      space: { "trainer.parameters.x": { grid: x } },
      pruner: { kind: "median", startup_trials: 2 },
    };
    const { results, events } = await run(experimentOf("median", search));
    assert.equal(results.state, "finished");
    assert.equal(results.best?.trial, "0001");
    const states = new Map(results.trials.map(({ trial, state }) => [trial, state]));
    for (const good of ["0001", "0002"]) assert.equal(states.get(good), "completed");
    const pruned = results.trials.filter(({ state }) => state === "pruned");
    for (const bad of ["0007", "0009", "0010"]) assert.equal(states.get(bad), "pruned", bad);
    for (const { trial, epoch, attempts, error } of pruned) {
      assert.ok(epoch < EPOCHS, `trial ${trial} had ${epoch} epochs`);
      assert.deepEqual([attempts, error], [1, null]);
    }
    assert.match(await readFile(runFiles.resultsCsv(results.runDir), "utf8"), /^0010,pruned,4,/m);

    const end = events.at(-1);
    assert.ok(end?.type === "run_ended");
    assert.equal(end.pruned, pruned.length);
    assert.equal(end.completed + end.pruned, 10);
    const lines: string[] = [];
    const reporter = createReporter({ write: (line) => lines.push(line) });
    for (const event of events) reporter.event(event);
    reporter.close();
    assert.match(lines.join(""), / trial 0010 pruned after .* s, best -12\./);
    assert.match(lines.at(-1) ?? "", new RegExp(`: ${end.completed} completed, ${end.pruned} pruned\n$`));
  });

  it("counts a trial as pruned that is lost while it ends", async () => {
    const search: ExperimentInput["search"] = {
      space: { "trainer.parameters.x": { grid: [0.3, 2] } },
      pruner: { kind: "median", startup_trials: 1 },
    };
    const experiment = experimentOf("dies", search, { dies: true });
    const alone = { ...experiment, resources: { ...experiment.resources, max_concurrent_trials: 1 } };
    const { results } = await run(alone);
    const end = results.trials.map(({ trial, state, attempts }) => [trial, state, attempts]);
    assert.deepEqual(end, [
      ["0001", "completed", 1],
      ["0002", "pruned", 1],
    ]);
  });

  it("continues a search of Optuna's after an interrupt", async () => {
    const search: ExperimentInput["search"] = {
      sampler: "tpe",
      sampler_options: { startup_trials: 4 },
      pruner: { kind: "asha", reduction_factor: 2 },
      space: { "trainer.parameters.x": { uniform: [-1, 1] } },
      limits: { trials: 16 },
    };
    const experiment = experimentOf("tpe", search);
    const stop = new AbortController();
    let ended = 0;
    const first = await run(experiment, { signal: stop.signal }, (event) => {
      if (event.type === "trial_ended" && ++ended === 8) stop.abort();
    });
    assert.equal(first.results.state, "interrupted");
    const before = new Map(first.results.trials.map((trial) => [trial.trial, trial]));
    const second = await run(experiment);
    assert.equal(second.results.state, "finished");
    assert.equal(second.results.trials.length, 16);
    for (const { trial, state, parameters, best } of second.results.trials) {
      assert.ok(state === "completed" || state === "pruned");
      const known = before.get(trial);
      if (known === undefined || known.state === "waiting") continue;
      assert.deepEqual(
        { state, parameters, best },
        { state: known.state, parameters: known.parameters, best: known.best },
      );
    }
    assert.ok(second.results.trials.some(({ state }) => state === "pruned"));
  });
});
