/** The orchestrator on a real Ray with real trainer processes; see run-experiment.test.ts for what needs faults of machines. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os, { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { factsOf } from "../../src/analysis/index.ts";
import { type Cluster, connect } from "../../src/cluster/index.ts";
import { defineExperiment, type Experiment, type ExperimentInput, trialConfig } from "../../src/config/index.ts";
import { type RunEvent, type RunOptions, runExperiment, runFiles, runTask } from "../../src/experiment/index.ts";

const GPUS = 32;
let folder = "";
let cluster: Cluster;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-cluster-"));
  cluster = await connect({ gpus: GPUS, cpus: GPUS });
});
after(async () => {
  await cluster?.close();
  await rm(folder, { recursive: true, force: true });
});

function experimentOf(
  task: string,
  search: ExperimentInput["search"],
  more: Partial<ExperimentInput> = {},
): Experiment {
  const module = path.join(import.meta.dirname, "../fixtures/tasks", `${task}.mjs`);
  return defineExperiment({ name: task, trainer: { module, parameters: { epochs: 1000 } }, search, ...more });
}

async function run(
  experiment: Experiment,
  options: Partial<RunOptions> = {},
  onEvent: (event: RunEvent) => void = () => {},
) {
  const runDir = options.runDir ?? path.join(folder, experiment.name);
  const started = runExperiment(cluster, experiment, { runDir, ...options });
  const events: RunEvent[] = [];
  for await (const event of started) {
    events.push(event);
    onEvent(event);
  }
  return { events, results: await started.results };
}

const scores = (count: number) => ({
  "trainer.parameters.score": { grid: Array.from({ length: count }, (_, index) => index / 100) },
});

describe("runExperiment on Ray", () => {
  it("places and finishes 32 trials on 32 logical GPUs", async () => {
    const { results, events } = await run(experimentOf("report", { space: scores(32) }));
    assert.equal(results.state, "finished");
    assert.equal(results.trials.filter(({ state }) => state === "completed").length, 32);
    assert.equal(results.best?.trial, "0032");
    assert.deepEqual(results.best?.best, { value: 0.31, epoch: 2, checkpoint: "" });
    const placed = events.find((event) => event.type === "run_placed");
    assert.equal(placed?.type === "run_placed" && placed.concurrency, 32);
    assert.match(await readFile(runFiles.trialLog(results.runDir, "0032"), "utf8"), /^trial 0032 scored 0\.31$/m);
    for (const trial of results.trials) assert.equal(trial.gpus.length, 1);
  });

  it("retries a trial whose trainer was killed", async () => {
    const { results, events } = await run(experimentOf("crash-once", {}));
    const [trial] = results.trials;
    assert.equal(trial?.state, "completed");
    assert.equal(trial?.attempts, 2);
    assert.equal(events.filter(({ type }) => type === "trial_retried").length, 1);
    assert.match(await readFile(runFiles.trialLog(results.runDir, "0001"), "utf8"), /about to be killed/);
    // Of the machine: its GPUs are logical ones.
    const { devices } = await factsOf(results.runDir);
    assert.deepEqual(devices, [os.cpus()[0]?.model.replaceAll(/\s+/g, " ")]);
  });

  it("reports a trial that fails in one line with the path of its log", async () => {
    const { results } = await run(
      experimentOf("always-fails", { space: scores(2) }, { resources: { max_concurrent_trials: 1 } }),
    );
    const log = runFiles.trialLog(results.runDir, "0001");
    const failed = results.trials.find(({ trial }) => trial === "0001");
    assert.equal(failed?.state, "failed");
    assert.equal(failed?.attempts, 1);
    assert.match(failed?.error ?? "", /no such modality: T9/);
    assert.ok(failed?.error?.endsWith(`; log: ${log}`), failed?.error ?? "");
    assert.doesNotMatch(failed?.error ?? "", /\n/);
    assert.match(await readFile(log, "utf8"), /looking for the data/);
  });

  it("continues after a stop from where the trials were", async () => {
    const experiment = experimentOf(
      "until-stopped",
      { space: { "trainer.parameters.epochs": { grid: [40, 41, 42] } } },
      {
        resources: { max_concurrent_trials: 2 },
      },
    );
    const stop = new AbortController();
    const first = await run(experiment, { signal: stop.signal }, (event) => {
      if (event.type === "epoch" && event.epoch === 10) stop.abort();
    });
    assert.equal(first.results.state, "interrupted");
    const before = new Map(first.results.trials.map((trial) => [trial.trial, trial]));
    const second = await run(experiment);
    assert.equal(second.results.state, "finished");
    assert.deepEqual(second.results.trials.map(({ trial, epoch }) => `${trial} ${epoch}`).toSorted(), [
      "0001 40",
      "0002 41",
      "0003 42",
    ]);
    for (const { trial, attempts } of second.results.trials) {
      const epochs = second.events.flatMap((event) =>
        event.type === "epoch" && event.trial === trial ? [event.epoch] : [],
      );
      assert.equal(attempts, (before.get(trial)?.attempts ?? 0) + 1);
      assert.equal(epochs[0], (before.get(trial)?.epoch ?? 0) + 1);
    }
  });

  it("refuses what the cluster can never hold", async () => {
    const experiment = experimentOf("report", {}, { name: "too-much", resources: { gpus_per_replica: 64 } });
    await assert.rejects(run(experiment), /the cluster can't hold one trial, 1 x \(64 GPU, /);
  });
});

describe("runTask on Ray", () => {
  it("hands the task's metrics back", async () => {
    const experiment = experimentOf("report", {});
    const task = experiment.trainer.module ?? "";
    const trialDir = path.join(folder, "one-task");
    const metrics = await runTask(cluster, {
      config: trialConfig(experiment, {}),
      task,
      taskInput: { number: 7 },
      trialDir,
    });
    assert.deepEqual(metrics, { task_input: 7 });
  });
});
