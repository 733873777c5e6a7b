import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment, type Experiment, type ExperimentInput, loadExperiment } from "../../src/config/index.ts";
import {
  dryRun,
  type RunEvent,
  type RunOptions,
  runExperiment,
  runFiles,
  runTask,
} from "../../src/experiment/index.ts";
import { GangEndCause } from "../../src/generated/distmis/v1/cluster.ts";
import { type ScriptOptions, scriptedCluster } from "./scripted-cluster.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-run-"));
  await writeFile(path.join(folder, "task.mjs"), "");
});
after(() => rm(folder, { recursive: true, force: true }));

function newDir(): string {
  return path.join(folder, `run-${++count}`);
}

function experimentOf(trials: number, more: Partial<ExperimentInput> = {}): Experiment {
  return defineExperiment({
    name: "test",
    trainer: { module: path.join(folder, "task.mjs") },
    search: { space: { "trainer.parameters.n": { grid: Array.from({ length: trials }, (_, index) => index) } } },
    ...more,
    failure: { retry_delay: 0.01, ...more.failure },
  });
}

async function run(script: ScriptOptions, experiment: Experiment, options: Partial<RunOptions> = {}) {
  const cluster = scriptedCluster(script);
  const started = runExperiment(cluster, experiment, { runDir: newDir(), ...options });
  const events: RunEvent[] = [];
  for await (const event of started) events.push(event);
  return { cluster, events, results: await started.results };
}

const parameter = (configJson: string): number => JSON.parse(configJson).trainer.parameters.n;

describe("runExperiment", () => {
  it("runs every trial once, as many at once as there is room, on warm gangs, and ranks them", async () => {
    const { cluster, events, results } = await run(
      { slots: 3, trial: ({ configJson }) => ({ values: [0.1, parameter(configJson) / 10, 0.05] }) },
      experimentOf(8),
    );
    assert.equal(results.state, "finished");
    assert.deepEqual(results.trials.map(({ trial }) => trial).slice(0, 3), ["0008", "0007", "0006"]);
    assert.deepEqual(results.best?.best, { value: 0.7, epoch: 2, checkpoint: "epoch-2" });
    assert.deepEqual(results.best?.parameters, { "trainer.parameters.n": 7 });
    assert.equal(cluster.gangs.started, 3);
    assert.equal(cluster.gangs.most, 3);
    assert.equal(cluster.gangs.alive, 0);
    assert.deepEqual(
      cluster.assignments.map(({ trialId }) => trialId).toSorted(),
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `000${n}`),
    );
    const types = events.map(({ type }) => type);
    assert.deepEqual(types.slice(0, 2), ["run_started", "run_placed"]);
    assert.equal(types.filter((type) => type === "epoch").length, 24);
    assert.deepEqual(events.at(-1)?.type === "run_ended" && events.at(-1), {
      ...events.at(-1),
      best: "0008",
      completed: 8,
      failed: 0,
    });
  });

  it("writes the run folder", async () => {
    const experiment = experimentOf(2);
    const { results } = await run({ slots: 1 }, experiment);
    const { runDir } = results;
    const csv = (await readFile(runFiles.resultsCsv(runDir), "utf8")).trimEnd().split("\n");
    assert.equal(
      csv[0],
      "trial,state,trainer.parameters.n,epochs,best_val_dice,best_epoch,last_val_dice,last_final,seconds,node,gpus,attempts,error",
    );
    assert.match(csv[1] ?? "", /^0001,completed,0,3,0\.3,2,0\.2,1,[\d.]+,node,0,1,$/);
    const lines = (await readFile(runFiles.resultsJsonl(runDir), "utf8")).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).trial),
      ["0001", "0002"],
    );
    assert.deepEqual(await loadExperiment(runFiles.experiment(runDir)), experiment);
    assert.equal(await readFile(runFiles.trialLog(runDir, "0001"), "utf8"), "trainer started\ntrial 0001 attempt 1\n");
    assert.equal(await readFile(runFiles.trialLog(runDir, "0002"), "utf8"), "trial 0002 attempt 1\n");
  });

  it("replaces a gang whose trainer is not clean", async () => {
    const { cluster } = await run(
      { slots: 1, trial: ({ trialId }) => ({ clean: trialId !== "0001" }) },
      experimentOf(3),
    );
    assert.equal(cluster.gangs.started, 2);
    assert.equal(cluster.gangs.most, 1);
  });

  it("retries what a machine lost, and only so often", async () => {
    for (const cause of [
      GangEndCause.GANG_END_CAUSE_ACTOR_LOST,
      GangEndCause.GANG_END_CAUSE_NODE_LOST,
      GangEndCause.GANG_END_CAUSE_TRAINER_EXITED,
    ]) {
      const { results, events } = await run(
        {
          slots: 2,
          trial: ({ trialId, attempt }) => (trialId === "0001" && attempt === 1 ? { end: cause, values: [0.9] } : {}),
        },
        experimentOf(2),
      );
      const first = results.trials.find(({ trial }) => trial === "0001");
      assert.equal(first?.state, "completed");
      assert.equal(first?.attempts, 2);
      // The second attempt repeated epoch 1: its value counts.
      assert.equal(first?.best?.value, 0.3);
      assert.equal(events.filter(({ type }) => type === "trial_retried").length, 1);
    }
    const end = GangEndCause.GANG_END_CAUSE_TRAINER_EXITED;
    const { results, cluster } = await run(
      { slots: 2, trial: () => ({ end, values: [] }) },
      experimentOf(2, { failure: { max_failures: 1 } }),
    );
    assert.deepEqual(
      results.trials.map(({ state }) => state),
      ["failed", "failed"],
    );
    assert.equal(cluster.assignments.length, 4);
    assert.equal(results.best, null);
    assert.match(
      results.trials[0]?.error ?? "",
      /^ended by GANG_END_CAUSE_TRAINER_EXITED; lost for the 2nd time, it is held to be at fault \(failure\.max_failures: 1\); log: .*\/trials\/0001\/trainer\.log$/,
    );
  });

  it("does not retry what is the trial's own fault", async () => {
    const { results, cluster } = await run(
      {
        slots: 1,
        trial: ({ trialId }) => ({ end: trialId === "0001" ? "failed" : GangEndCause.GANG_END_CAUSE_OUT_OF_MEMORY }),
      },
      experimentOf(2),
    );
    assert.equal(cluster.assignments.length, 2);
    assert.match(results.trials.find(({ trial }) => trial === "0001")?.error ?? "", /^loss is not a number; log: /);
    assert.match(results.trials.find(({ trial }) => trial === "0002")?.error ?? "", /OUT_OF_MEMORY; log: /);
    // A trainer that failed a trial but is clean takes the next one.
    assert.equal(cluster.gangs.started, 1);
  });

  it("refuses what the cluster can never hold, and what it does not hold until the deadline", async () => {
    await assert.rejects(
      run({ slots: 0 }, experimentOf(1)),
      /can't hold one trial, 1 x \(1 GPU, 1 CPU by .*\): 1 GPU on any node; .*--gpus N/,
    );
    const experiment = experimentOf(2, { resources: { placement_deadline: 0.05 } });
    await assert.rejects(run({ slots: 2, busy: 2 }, experiment), /no place: 1 GPU is missing/);
  });

  it("works with what is free while other gangs wait for their place", async () => {
    const experiment = experimentOf(4, { resources: { placement_deadline: 0.05 } });
    const { results, cluster } = await run({ slots: 3, busy: 2 }, experiment);
    assert.equal(results.trials.length, 4);
    assert.equal(results.state, "finished");
    assert.equal(cluster.gangs.most, 1);
  });

  it("keeps to max_concurrent_trials and starts no more gangs than there are trials", async () => {
    const bounded = await run({ slots: 8 }, experimentOf(6, { resources: { max_concurrent_trials: 2 } }));
    assert.equal(bounded.cluster.gangs.started, 2);
    const few = await run({ slots: 8 }, experimentOf(2));
    assert.equal(few.cluster.gangs.started, 2);
  });

  it("tries again when a gang does not start, and gives up with the reason", async () => {
    const failure = GangEndCause.GANG_END_CAUSE_START_FAILED;
    const { results, events } = await run({ slots: 1, start: (gang) => (gang < 3 ? failure : null) }, experimentOf(1));
    assert.equal(results.state, "finished");
    assert.equal(events.filter((event) => event.type === "log" && event.stream === "distmis").length, 2);
    await assert.rejects(
      run({ slots: 1, start: () => failure }, experimentOf(1)),
      /^DistmisError: ended by GANG_END_CAUSE_START_FAILED/,
    );
  });

  it("says so when a trial can't be ranked", async () => {
    const { events, results } = await run({ slots: 1, trial: () => ({ metric: "dice" }) }, experimentOf(1));
    assert.equal(results.best, null);
    const text = events.flatMap((event) => (event.type === "log" && event.stream === "distmis" ? [event.text] : []));
    assert.deepEqual(text, ["trial 0001 can't be ranked: expected reports of val_dice (search.metric), found dice"]);
  });

  it("stops in peace, continues where it was, then only shows", async () => {
    const runDir = newDir();
    const experiment = experimentOf(5);
    const controller = new AbortController();
    const cluster = scriptedCluster({ slots: 2, trial: ({ trialId }) => (trialId > "0002" ? { end: "hang" } : {}) });
    const first = runExperiment(cluster, experiment, { runDir, signal: controller.signal });
    let epochs = 0;
    for await (const event of first) if (event.type === "epoch" && ++epochs === 12) controller.abort();
    const interrupted = await first.results;
    assert.equal(interrupted.state, "interrupted");
    assert.deepEqual(interrupted.trials.map(({ state }) => state).toSorted(), [
      "completed",
      "completed",
      "waiting",
      "waiting",
    ]);
    assert.equal(cluster.gangs.alive, 0);

    const second = await run({ slots: 2 }, experiment, { runDir });
    assert.equal(second.results.state, "finished");
    assert.deepEqual(second.cluster.assignments.map(({ trialId, attempt }) => `${trialId}/${attempt}`).toSorted(), [
      "0003/2",
      "0004/2",
      "0005/1",
    ]);
    assert.deepEqual(second.events[0]?.type === "run_started" && second.events[0].endedBefore, 2);

    const third = runExperiment(() => Promise.reject(new Error("no cluster is needed")), experiment, { runDir });
    assert.deepEqual((await third.results).trials, second.results.trials);
  });

  it("kills what does not stop within the grace, or at the second signal", async () => {
    const stop = new AbortController();
    const cluster = scriptedCluster({ slots: 1, trial: () => ({ end: "hang" }) });
    const kill = new AbortController();
    const started = runExperiment(cluster, experimentOf(1), {
      runDir: newDir(),
      signal: stop.signal,
      killSignal: kill.signal,
    });
    for await (const event of started) if (event.type === "epoch") kill.abort();
    assert.equal((await started.results).state, "interrupted");
    assert.equal(cluster.gangs.alive, 0);
  });

  it("refuses a changed experiment with the difference, but takes other resources", async () => {
    const runDir = newDir();
    await run({ slots: 1 }, experimentOf(2), { runDir });
    await assert.rejects(
      run({ slots: 1 }, experimentOf(2, { train: { epochs: 3 } }), { runDir }),
      /another experiment;.*\n {2}train\.epochs: 20 before, 3 now$/,
    );
    await run({ slots: 1 }, experimentOf(2, { resources: { max_concurrent_trials: 1 } }), { runDir });
  });

  it("names the missing files of a changed experiment first, and those of a finished run not at all", async () => {
    const runDir = newDir();
    const module = path.join(folder, "other.mjs");
    await writeFile(module, "");
    await run({ slots: 1 }, experimentOf(1, { trainer: { module } }), { runDir });
    const wrong = experimentOf(1, { trainer: { module: `${module}-wrong` } });
    const missing = { code: "FILE_UNUSABLE", message: /^trainer\.module: .*\/other\.mjs-wrong can't be read: / };
    await assert.rejects(run({ slots: 1 }, wrong, { runDir }), missing);
    await assert.rejects(dryRun(wrong, { runDir }), missing);
    await rm(module);
    const again = await run({ slots: 1 }, experimentOf(1, { trainer: { module } }), { runDir });
    assert.equal(again.results.state, "finished");
  });

  it("refuses a folder that holds something else, or is in use", async () => {
    const foreign = newDir();
    await writeFile(path.join(folder, "file"), "");
    await assert.rejects(
      run({ slots: 1 }, experimentOf(1), { runDir: folder }),
      /expected a run folder or an empty one, found /,
    );
    const cluster = scriptedCluster({ slots: 1, trial: () => ({ end: "hang" }) });
    const kill = new AbortController();
    const first = runExperiment(cluster, experimentOf(1), { runDir: foreign, killSignal: kill.signal });
    for await (const event of first) {
      if (event.type !== "epoch" || kill.signal.aborted) continue;
      await assert.rejects(
        run({ slots: 1 }, experimentOf(1), { runDir: foreign }),
        new RegExp(`worked on by process ${process.pid} on host`),
      );
      kill.abort();
    }
    await first.results;
  });

  it("ends with the reason when the cluster goes away, and continues later", async () => {
    const runDir = newDir();
    const cluster = scriptedCluster({ slots: 2, trial: ({ trialId }) => (trialId === "0001" ? {} : { end: "hang" }) });
    const first = runExperiment(cluster, experimentOf(3), { runDir });
    let seen = 0;
    await assert.rejects(async () => {
      for await (const event of first)
        if (event.type === "epoch" && ++seen === 9) cluster.lose("the head node is gone");
    }, /the cluster went away: the head node is gone/);
    await assert.rejects(first.results, /the head node is gone/);
    const { results } = await run({ slots: 2 }, experimentOf(3), { runDir });
    assert.deepEqual(
      results.trials.map(({ state }) => state),
      ["completed", "completed", "completed"],
    );
  });

  it("tells what every trial would fail for before it starts one", async () => {
    const experiment = defineExperiment({ name: "x", data: { dir: folder } });
    await assert.rejects(
      run({ slots: 1 }, experiment),
      /data\.dir: .*info\.json can't be read: ENOENT.*distmis tfrecord/,
    );
    await assert.rejects(
      run({ slots: 1 }, defineExperiment({ name: "x", trainer: { module: "none.mjs" } })),
      /trainer\.module: .*none\.mjs can't be read/,
    );
  });
});

describe("runTask", () => {
  it("returns the final metrics, or the failure with its log", async () => {
    const [config] = [experimentOf(1)].map(({ search, failure, ...rest }) => rest);
    assert.ok(config !== undefined);
    const trialDir = newDir();
    const cluster = scriptedCluster({ slots: 1 });
    assert.deepEqual(await runTask(cluster, { config, task: "evaluate", taskInput: { split: "test" }, trialDir }), {
      final: 1,
    });
    assert.equal(cluster.assignments[0]?.taskJson, '{"split":"test"}');
    assert.equal(cluster.gangs.alive, 0);
    await assert.rejects(
      runTask(scriptedCluster({ slots: 1, trial: () => ({ end: "failed" }) }), { config, task: "evaluate", trialDir }),
      /evaluate: loss is not a number; log: .*trainer\.log/,
    );
    await assert.rejects(
      runTask(cluster, { config, task: "evaluate", taskInput: "x".repeat(17e6), trialDir }),
      /a frame of 17\d+ bytes was to be sent, at most 16777216 are legal/,
    );
    assert.equal(cluster.gangs.alive, 0);
  });
});
