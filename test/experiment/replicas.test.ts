/** Trials of several replicas, with faults and sizes that a real cluster shows too seldom; on Ray: gangs.test.ts. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment, type Experiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, type RunOptions, runExperiment, runFiles } from "../../src/experiment/index.ts";
import { createStragglerWatch } from "../../src/experiment/straggler.ts";
import { GangEndCause } from "../../src/generated/distmis/v1/cluster.ts";
import { type ScriptedCluster, type ScriptOptions, scriptedCluster, type TrialScript } from "./scripted-cluster.ts";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-replicas-"));
  await writeFile(path.join(folder, "task.mjs"), "");
});
after(() => rm(folder, { recursive: true, force: true }));

function experimentOf(trials: number, more: Partial<ExperimentInput>): Experiment {
  return defineExperiment({
    name: "test",
    trainer: { module: path.join(folder, "task.mjs") },
    search: { space: { "trainer.parameters.n": { grid: Array.from({ length: trials }, (_, index) => index) } } },
    ...more,
    failure: { retry_delay: 0.01, ...more.failure },
  });
}

async function runOn(
  cluster: ScriptedCluster,
  experiment: Experiment,
  options: Partial<RunOptions> = {},
  onEvent: (event: RunEvent) => void = () => {},
) {
  const started = runExperiment(cluster, experiment, { runDir: path.join(folder, `run-${++count}`), ...options });
  const events: RunEvent[] = [];
  for await (const event of started) {
    events.push(event);
    onEvent(event);
  }
  return { cluster, events, results: await started.results };
}

const run = (script: ScriptOptions, experiment: Experiment, options: Partial<RunOptions> = {}) =>
  runOn(scriptedCluster(script), experiment, options);

const words = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === "log" && event.stream === "distmis" ? [event.text] : []));

describe("a trial of several replicas", () => {
  it("gives all of them its addresses, which stay, and counts the reports of rank 0", async () => {
    const { cluster, events, results } = await run(
      { slots: 4, trial: ({ rank }) => ({ values: [0.1 + rank] }) },
      experimentOf(3, { resources: { replicas: 2, max_concurrent_trials: 1 } }),
    );
    assert.equal(results.state, "finished");
    assert.equal(cluster.gangs.started, 1);
    assert.deepEqual(
      cluster.assignments.map(({ trialId, rank, replicas }) => `${trialId} ${rank}/${replicas}`),
      ["0001 0/2", "0001 1/2", "0002 0/2", "0002 1/2", "0003 0/2", "0003 1/2"],
    );
    for (const { addresses } of cluster.assignments) assert.deepEqual(addresses, ["10.0.0.0:5001", "10.0.0.1:5001"]);
    assert.deepEqual(
      events.flatMap((event) => (event.type === "epoch" ? [event.metrics.val_dice] : [])),
      [0.1, 0.1, 0.1],
    );
    const placed = events.find((event) => event.type === "run_placed");
    assert.deepEqual(placed?.type === "run_placed" && [placed.trials, placed.sizes], [
      3,
      [{ replicas: 2, concurrency: 1 }],
    ]);
    const log = (rank: number) => readFile(runFiles.trialLog(results.runDir, "0001", rank), "utf8");
    assert.equal(await log(0), "trainer started\ntrial 0001 attempt 1\n");
    assert.equal(await log(1), "trial 0001 attempt 1\n");
  });

  it("is what its replica says that failed first, and the others are stopped", async () => {
    const { cluster, results } = await run(
      { slots: 2, trial: ({ rank }) => ({ end: rank === 1 ? "failed" : "hang" }) },
      experimentOf(2, { resources: { replicas: 2 } }),
    );
    assert.deepEqual(
      results.trials.map(({ state, attempts }) => `${state} ${attempts}`),
      ["failed 1", "failed 1"],
    );
    assert.match(results.trials[0]?.error ?? "", /^loss is not a number; log: .*\/trials\/0001\/trainer-1\.log$/);
    // Nobody knows what its replicas have left in TensorFlow's cluster.
    assert.equal(cluster.gangs.started, 2);
  });

  it("ends also if the others do not hear that they are to stop", async () => {
    const { results } = await run(
      { slots: 2, deaf: true, trial: ({ rank }) => ({ end: rank === 1 ? "failed" : "hang" }) },
      experimentOf(1, { resources: { replicas: 2 } }),
      { stopGraceSeconds: 0.05 },
    );
    assert.match(results.trials[0]?.error ?? "", /^loss is not a number; log: /);
  });

  it("is tried again if a replica was lost, though the others failed of it", async () => {
    const lost = GangEndCause.GANG_END_CAUSE_ACTOR_LOST;
    const { results, events } = await run(
      {
        slots: 2,
        trial: ({ rank, attempt }) => (attempt > 1 ? {} : { values: [], end: rank === 0 ? "failed" : lost }),
      },
      experimentOf(1, { resources: { replicas: 2 } }),
    );
    assert.equal(results.trials[0]?.state, "completed");
    const [retried] = events.filter((event) => event.type === "trial_retried");
    assert.match(retried?.error ?? "", /ACTOR_LOST; log: .*trainer-1\.log$/);
  });

  it("is tried again if its connection was the cause", async () => {
    const broken = { end: "failed", errorCode: "TRAINER_FAILED" } as const;
    const { results } = await run(
      { slots: 2, trial: ({ attempt }) => (attempt === 1 ? broken : {}) },
      experimentOf(1, { resources: { replicas: 2 } }),
    );
    assert.deepEqual(
      results.trials.map(({ state, attempts }) => `${state} ${attempts}`),
      ["completed 2"],
    );
  });

  it("gets new replicas if a port was taken, which is no failure of the trial, but not for ever", async () => {
    const taken: TrialScript = { values: [], end: "failed", errorCode: "PORT_TAKEN" };
    const resources = { replicas: 2 };
    const { results, cluster } = await run(
      { slots: 2, trial: ({ rank, attempt }) => (attempt > 2 ? {} : rank === 1 ? taken : { values: [], end: "hang" }) },
      experimentOf(1, { resources, failure: { max_failures: 0 } }),
    );
    assert.deepEqual(
      results.trials.map(({ state, attempts }) => `${state} ${attempts}`),
      ["completed 3"],
    );
    assert.equal(cluster.gangs.started, 3);
    assert.notDeepEqual(cluster.assignments[0]?.addresses, cluster.assignments.at(-1)?.addresses);
    const always = await run({ slots: 2, trial: () => taken }, experimentOf(1, { resources }));
    assert.deepEqual(
      always.results.trials.map(({ state, attempts }) => `${state} ${attempts}`),
      ["failed 6"],
    );
  });

  it("stops as a whole and is interrupted", async () => {
    const stop = new AbortController();
    const cluster = scriptedCluster({ slots: 4, trial: () => ({ end: "hang" }) });
    const started = runExperiment(cluster, experimentOf(1, { resources: { replicas: 4 } }), {
      runDir: path.join(folder, "stopped"),
      signal: stop.signal,
    });
    for await (const event of started) if (event.type === "epoch") stop.abort();
    const { trials, state } = await started.results;
    assert.deepEqual([state, trials[0]?.state, trials[0]?.attempts], ["interrupted", "waiting", 1]);
    assert.equal(cluster.gangs.alive, 0);
  });

  it("names a replica that holds the others up, once", async () => {
    const { events, results } = await run(
      { slots: 3, trial: ({ rank }) => ({ values: Array(8).fill(0.5), workSeconds: rank === 2 ? 4 : 2 }) },
      experimentOf(1, { resources: { replicas: 3 } }),
    );
    const text =
      "trial 0001: replica 2 on node holds the others up: for 3 epochs, up to epoch 3, its work has taken 2.0 times as long as theirs";
    assert.deepEqual(words(events), [text]);
    assert.ok((await readFile(runFiles.trialLog(results.runDir, "0001"), "utf8")).includes(`${text}\n`));
  });
});

describe("trials of different sizes", () => {
  const sizes = (grid: number[], trials: number): Partial<ExperimentInput> => ({
    search: {
      space: {
        "trainer.parameters.n": { grid: Array.from({ length: trials }, (_, index) => index) },
        "resources.replicas": { grid },
      },
    },
  });

  it("start in their order, each on a gang of its size", async () => {
    const { cluster, events, results } = await run({ slots: 4 }, experimentOf(0, sizes([1, 4, 2], 4)));
    assert.equal(results.trials.filter(({ state }) => state === "completed").length, 12);
    assert.deepEqual(
      cluster.requests.map(({ replicas }) => replicas),
      [1, 4, 2, 1, 4, 2, 1, 4, 2, 1, 4, 2],
    );
    // Two that start at once may be told in either order.
    assert.deepEqual(
      events
        .flatMap((event) => (event.type === "trial_started" ? [`${event.trial} ${event.replicas}`] : []))
        .toSorted(),
      Array.from({ length: 12 }, (_, index) => `${String(index + 1).padStart(4, "0")} ${[1, 4, 2][index % 3]}`),
    );
    for (const { addresses, replicas } of cluster.assignments)
      assert.equal(addresses.length, replicas === 1 ? 0 : replicas);
    const placed = events.find((event) => event.type === "run_placed");
    assert.deepEqual(placed?.type === "run_placed" && placed.sizes, [
      { replicas: 1, concurrency: 4 },
      { replicas: 4, concurrency: 1 },
      { replicas: 2, concurrency: 2 },
    ]);
  });

  it("keep their gangs warm while those of one size follow each other", async () => {
    const { cluster } = await run(
      { slots: 4 },
      experimentOf(0, {
        search: {
          space: { "resources.replicas": { grid: [1, 2, 4] }, "trainer.parameters.n": { grid: [1, 2, 3, 4, 5, 6] } },
        },
      }),
    );
    assert.deepEqual(
      cluster.requests.map(({ replicas }) => replicas),
      [1, 1, 1, 1, 2, 2, 4],
    );
  });

  it("wait for a large one even if the room for it is taken by others", async () => {
    // One place is somebody else's, which the model of the idle cluster does not know: no small trial may slip in.
    const kill = new AbortController();
    const cluster = scriptedCluster({ slots: 4, busy: 1 });
    const started = runExperiment(cluster, experimentOf(0, sizes([1, 4], 2)), {
      runDir: path.join(folder, "waits"),
      killSignal: kill.signal,
    });
    const begun: string[] = [];
    for await (const event of started) {
      if (event.type === "trial_started") begun.push(event.trial);
      if (event.type === "trial_ended") setTimeout(() => kill.abort(), 200);
    }
    assert.deepEqual(begun, ["0001"]);
    assert.deepEqual(
      cluster.requests.map(({ replicas }) => replicas),
      [1, 4],
    );
  });

  it("are refused if the cluster can't hold one of them", async () => {
    await assert.rejects(
      run({ slots: 4 }, experimentOf(0, sizes([1, 8], 1))),
      /can't hold one trial, 8 x \(1 GPU, 1 CPU by .*\): 4 GPU on any node/,
    );
  });
});

describe("resources.elastic", () => {
  const resources = { replicas: 4, elastic: { min: 2, max: 6 } };
  /** The first attempt ends by the loss of a node, which leaves so many places. */
  const losing = (left: number): ScriptedCluster => {
    const cluster = scriptedCluster({
      slots: 4,
      trial: ({ rank, attempt }) => {
        if (attempt > 1) return {};
        if (rank === 3) cluster.resize(left);
        return { values: [0.1], end: rank === 3 ? GangEndCause.GANG_END_CAUSE_NODE_LOST : "hang" };
      },
    });
    return cluster;
  };
  const startedWith = (events: RunEvent[]) =>
    events.flatMap((event) => (event.type === "trial_started" ? [event.replicas] : []));

  it("goes on with as many replicas as the cluster still holds", async () => {
    const { events, results, cluster } = await runOn(losing(3), experimentOf(1, { resources }));
    assert.equal(results.trials[0]?.state, "completed");
    assert.deepEqual(startedWith(events), [4, 3]);
    assert.equal(cluster.assignments.at(-1)?.addresses.length, 3);
  });

  it("grows if more is free when it starts again", async () => {
    const { events } = await runOn(losing(9), experimentOf(1, { resources }));
    assert.deepEqual(startedWith(events), [4, 6]);
  });

  it("looks again if the cluster had not noticed its loss", async () => {
    const cluster = losing(2);
    const stale: ScriptedCluster = {
      ...cluster,
      check: async (request) => {
        const now = await cluster.check(request);
        return cluster.gangs.started < 2 && request.replicas === 4 ? { ...now, gangsInTotal: 1 } : now;
      },
    };
    const { events } = await runOn(stale, experimentOf(1, { resources }));
    assert.deepEqual(startedWith(events), [4, 2]);
    assert.deepEqual(
      cluster.requests.map(({ replicas }) => replicas),
      [4, 4, 2],
    );
  });

  it("also begins smaller, and ends where less than min is left", async () => {
    const begun = await run({ slots: 3 }, experimentOf(1, { resources }));
    assert.deepEqual(startedWith(begun.events), [3]);
    await assert.rejects(run({ slots: 1 }, experimentOf(1, { resources })), /can't hold one trial, 4 x /);
    const left = /nodes have left, and the cluster can't hold one trial, 4 x .*: \d GPU on any node/;
    const soon = { ...resources, placement_deadline: 0.05 };
    await assert.rejects(runOn(losing(1), experimentOf(1, { resources: soon })), left);
  });

  it("without it a trial waits for the replicas that it was given", async () => {
    const waits = { replicas: 4, placement_deadline: 0.05 };
    await assert.rejects(runOn(losing(3), experimentOf(1, { resources: waits })), /nodes have left, and .* 4 x /);
    // More may come, until then nothing is asked of Ray.
    const cluster = losing(3);
    const { results } = await runOn(cluster, experimentOf(1, { resources: { replicas: 4 } }), {}, (event) => {
      if (event.type === "log" && /nodes have left, and .*; waiting for others for 300 s/.test(event.text))
        cluster.resize(4);
    });
    assert.equal(results.trials[0]?.state, "completed");
  });
});

describe("createStragglerWatch", () => {
  /** Who is named after each epoch, given the work times of all ranks. */
  const named = (epochs: number[][]): string[] => {
    const watch = createStragglerWatch(epochs[0]?.length ?? 0);
    return epochs.flatMap((times, epoch) =>
      times
        .toReversed()
        .flatMap((seconds, index) => watch(times.length - 1 - index, epoch + 1, seconds))
        .map((slow) => `rank ${slow.rank} epoch ${slow.epoch}`),
    );
  };
  it("names who is slow for three epochs in a row, whether or not all others are equal", () => {
    const slow = [1, 1.1, 1.6, 0.9];
    const even = [1, 1, 1, 1];
    assert.deepEqual(named([slow, slow, slow, slow, even, slow, slow, slow]), ["rank 2 epoch 3"]);
    assert.deepEqual(named([slow, slow, even, slow, slow]), []);
    assert.deepEqual(named(Array(4).fill([3, 1])), ["rank 0 epoch 3"]);
    assert.deepEqual(named(Array(4).fill([1.4, 1])), []);
  });
  it("compares nothing that was not measured, and nobody who is alone", () => {
    assert.deepEqual(named(Array(4).fill([0, 1, 9])), []);
    assert.deepEqual(named(Array(4).fill([5])), []);
  });
});
