/** What is lost by the fault of a trial or of a node, with faults that a real cluster shows too seldom; on Ray: nodes.test.ts. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { defineExperiment, type Experiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, runExperiment, runFiles } from "../../src/experiment/index.ts";
import { createNodeFaults } from "../../src/experiment/node-faults.ts";
import { GangEndCause } from "../../src/generated/distmis/v1/cluster.ts";
import { type ScriptedCluster, type ScriptOptions, scriptedCluster } from "./scripted-cluster.ts";

const LOST = GangEndCause.GANG_END_CAUSE_TRAINER_EXITED;
let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-failures-"));
  await writeFile(path.join(folder, "task.mjs"), "");
});
after(() => rm(folder, { recursive: true, force: true }));

function experimentOf(trials: number, more: Partial<ExperimentInput> = {}): Experiment {
  return defineExperiment({
    name: "test",
    trainer: { module: path.join(folder, "task.mjs") },
    search: { space: { "trainer.parameters.n": { grid: Array.from({ length: trials }, (_, index) => index) } } },
    ...more,
    failure: { retry_delay: 0.01, ...more.failure },
  });
}

type Started = Extract<RunEvent, { type: "trial_started" }>;

async function runOn(
  cluster: ScriptedCluster,
  experiment: Experiment,
  onEvent: (event: RunEvent) => void = () => {},
  signal = new AbortController().signal,
) {
  const started = runExperiment(cluster, experiment, { runDir: path.join(folder, `run-${++count}`), signal });
  const events: RunEvent[] = [];
  for await (const event of started) {
    events.push(event);
    onEvent(event);
  }
  const results = await started.results;
  const starts = events.filter((event): event is Started => event.type === "trial_started");
  const words = events.flatMap((event) => (event.type === "log" && event.stream === "distmis" ? [event.text] : []));
  const states = results.trials
    .toSorted((a, b) => (a.trial < b.trial ? -1 : 1))
    .map(({ trial, state, attempts }) => `${trial} ${state} ${attempts}`);
  return { cluster, events, results, starts, words, states };
}

const run = (script: ScriptOptions, experiment: Experiment) => runOn(scriptedCluster(script), experiment);

const onNodes = (starts: Started[]) => starts.map(({ trial, nodes }) => `${trial} ${nodes.join()}`);

describe("a trial that is lost", () => {
  it("starts again on another node, and lets those pass that have not failed there", async () => {
    const script: ScriptOptions = {
      slots: { a: 1, b: 1 },
      trial: ({ trialId, attempt }) => (trialId === "0001" && attempt === 1 ? { end: LOST } : {}),
    };
    // So many that others wait when it comes back.
    const { starts, states } = await run(script, experimentOf(60));
    assert.deepEqual(states[0], "0001 completed 2");
    const [first, second] = starts.filter(({ trial }) => trial === "0001");
    assert.notDeepEqual(first?.nodes, second?.nodes);
  });

  it("starts on the same node if there is no other", async () => {
    const script: ScriptOptions = { slots: 1, trial: ({ attempt }) => (attempt === 1 ? { end: LOST } : {}) };
    assert.deepEqual((await run(script, experimentOf(2))).states, ["0001 completed 2", "0002 completed 2"]);
  });

  it("waits before that, longer each time, without holding others up", async () => {
    const failure = { retry_delay: 0.2, max_retry_delay: 0.3, max_failures: 3 };
    const cluster = scriptedCluster({
      slots: 1,
      trial: ({ trialId, attempt }) => (trialId === "0001" && attempt < 4 ? { end: LOST } : {}),
    });
    const at: number[] = [];
    const { events, states, starts } = await runOn(cluster, experimentOf(3, { failure }), (event) => {
      if (event.type === "trial_retried" || (event.type === "trial_started" && event.attempt > 1)) {
        at.push(performance.now());
      }
    });
    assert.deepEqual(states, ["0001 completed 4", "0002 completed 1", "0003 completed 1"]);
    assert.deepEqual(starts.map(({ trial }) => trial).slice(0, 4), ["0001", "0002", "0003", "0001"]);
    const delays = events.flatMap((event) => (event.type === "trial_retried" ? [event.delaySeconds] : []));
    assert.deepEqual(delays, [0.2, 0.3, 0.3]);
    for (const [index, delay] of delays.entries())
      assert.ok((at[2 * index + 1] ?? 0) - (at[2 * index] ?? 0) > delay * 990, String(at));
  });

  it("holds no GPU while it waits, nor do gangs that have nothing to do", async () => {
    const cluster = scriptedCluster({
      slots: 2,
      trial: ({ trialId, attempt }) => (trialId === "0001" && attempt === 1 ? { end: LOST } : {}),
    });
    let least = 2;
    const timer = setInterval(() => {
      least = Math.min(least, cluster.gangs.alive);
    }, 50);
    const { states } = await runOn(cluster, experimentOf(4, { failure: { retry_delay: 2.5 } }));
    clearInterval(timer);
    assert.deepEqual([states[0], least], ["0001 completed 2", 0]);
  });

  it("stops to wait when the run is stopped", async () => {
    const stop = new AbortController();
    const cluster = scriptedCluster({ slots: 1, trial: () => ({ end: LOST }) });
    const { states } = await runOn(
      cluster,
      experimentOf(1, { failure: { retry_delay: 50 } }),
      (event) => {
        if (event.type === "trial_retried") stop.abort();
      },
      stop.signal,
    );
    assert.deepEqual(states, ["0001 waiting 1"]);
  });

  it("is no fault of the trial if a node does not see its files", async () => {
    const script: ScriptOptions = {
      slots: { blind: 1, good: 1 },
      trial: (_, node) => (node === "blind" ? { values: [], end: "failed", errorCode: "FILE_UNUSABLE" } : {}),
    };
    // Enough for the blind node to be given three of them while the good one works.
    const { results, words } = await run(script, experimentOf(40));
    assert.ok(results.trials.every(({ state }) => state === "completed"));
    assert.match(words.join("\n"), /^node blind \(10\.0\.0\.0, blind in Ray\) is left out .* not a number; log: /);
  });

  it("is at fault by its own word, or if a GPU is full", async () => {
    const script: ScriptOptions = { slots: 1, trial: () => ({ end: "failed" }) };
    assert.deepEqual((await run(script, experimentOf(1))).states, ["0001 failed 1"]);
  });
});

describe("a node that fails", () => {
  it("several trials in a row is named and left out, and the others go on without it", async () => {
    const script: ScriptOptions = {
      slots: { bad: 2, good: 1 },
      // Those of the good one are replaced after each trial, so that gangs are asked for all the time.
      trial: (_, node) => (node === "bad" ? { end: LOST } : { clean: false }),
    };
    // So many that the good one is not done with them before.
    const { results, starts, words, events, cluster } = await run(script, experimentOf(60));
    assert.ok(results.trials.every(({ state }) => state === "completed"));
    assert.equal(words.length, 1);
    assert.match(
      words[0] ?? "",
      /^node bad \(10\.0\.0\.0, bad in Ray\) is left out for the rest of this run: [345] in a row were lost there \((\d{4}, ){2,4}\d{4}\), the last one by: ended by GANG_END_CAUSE_TRAINER_EXITED; log: .*trainer\.log$/,
    );
    const onBad = onNodes(starts).filter((start) => start.endsWith("bad"));
    // The third loss makes distmis look at the nodes; until it has, each of the three lanes may have been placed there once.
    assert.ok(onBad.length >= 3 && onBad.length <= 5, onBad.join());
    const placed = events.flatMap((event) => (event.type === "run_placed" ? [event.concurrency] : []));
    assert.deepEqual(placed, [3, 1]);
    assert.deepEqual(cluster.requests.at(-1)?.excludedNodes, ["bad"]);
  });

  it("to start workers is left out, too", async () => {
    const failed = GangEndCause.GANG_END_CAUSE_START_FAILED;
    const script: ScriptOptions = { slots: { bad: 1, good: 1 }, start: (_, node) => (node === "bad" ? failed : null) };
    const { results, words } = await run(script, experimentOf(8));
    assert.ok(results.trials.every(({ state, attempts }) => state === "completed" && attempts === 1));
    assert.match(words.join("\n"), /node bad .* is left out .* \((start of test-\d+, ){2,3}start of test-\d+\)/);
  });

  it("stays in use if it is the only one", async () => {
    const script: ScriptOptions = { slots: 1, trial: () => ({ end: LOST }) };
    const failure = { max_failures: 1, node_failures: 2 };
    const { states, words } = await run(script, experimentOf(3, { failure }));
    assert.deepEqual(states, ["0001 failed 2", "0002 failed 2", "0003 failed 2"]);
    assert.equal(words.length, 1);
    assert.match(
      words[0] ?? "",
      /^node node .* stays in use, as no other one can hold a trial, but 2 in a row were lost/,
    );
  });

  it("is used again when the others have left", async () => {
    const cluster = scriptedCluster({
      slots: { bad: 1, good: 1 },
      trial: ({ attempt, trialId }, node) => {
        if (node === "good" && trialId > "0006") {
          cluster.resize(0, "good");
          return { values: [], end: GangEndCause.GANG_END_CAUSE_NODE_LOST };
        }
        return node === "bad" && attempt === 1 && trialId < "0006" ? { end: LOST } : {};
      },
    });
    const { results, words } = await runOn(cluster, experimentOf(9, { failure: { node_failures: 1 } }));
    assert.ok(results.trials.every(({ state }) => state === "completed"));
    const about = words.filter((text) => text.startsWith("node bad")).map((text) => text.split(":")[0]);
    assert.deepEqual(about, [
      "node bad (10.0.0.0, bad in Ray) is left out for the rest of this run",
      "node bad (10.0.0.0, bad in Ray) is used again, as no other one can hold a trial",
    ]);
  });

  it("is never left out with node_failures: 0", async () => {
    const script: ScriptOptions = {
      slots: { bad: 1, good: 1 },
      trial: (_, node) => (node === "bad" ? { end: LOST } : {}),
    };
    const failure = { node_failures: 0, max_failures: 9 };
    assert.deepEqual((await run(script, experimentOf(4, { failure }))).words, []);
  });

  it("is judged by what went well there, and not by trials that are at fault themselves", () => {
    const faults = createNodeFaults(2);
    const bad = () => [...faults.bad().keys()];
    faults.lost("a", "0001", "x");
    faults.lost("a", "0001", "x");
    assert.deepEqual(bad(), []);
    faults.lost("a", "0002", "y");
    assert.deepEqual(faults.bad().get("a"), { lost: ["0001", "0002"], error: "y" });
    faults.forgive("0001");
    assert.deepEqual(bad(), []);
    faults.lost("a", "0003", "z");
    assert.deepEqual(bad(), ["a"]);
    faults.worked(["a", "b"]);
    assert.deepEqual(bad(), []);
  });
});

describe("a trial that falls silent", () => {
  it("is killed, counted and tried again; the journal knows why", async () => {
    const script: ScriptOptions = { slots: 1, trial: ({ attempt }) => (attempt === 1 ? { end: "hang" } : {}) };
    const failure = { stall_timeout: 1, stall_factor: 1 };
    const { states, events, results } = await run(script, experimentOf(1, { failure }));
    assert.deepEqual(states, ["0001 completed 2"]);
    const [retried] = events.filter((event) => event.type === "trial_retried");
    assert.match(
      retried?.error ?? "",
      /^the trial on node has reported nothing for 1 s \(failure\.stall_timeout\); it was killed; log: .*trainer\.log$/,
    );
    const journal = await readFile(runFiles.journal(results.runDir), "utf8");
    assert.match(journal, /"cause":"stalled"/);
  });

  it("with its trainer is killed though it may report as seldom as it likes", async () => {
    // Scripted trainers send no heartbeat.
    const script: ScriptOptions = { slots: 1, trial: ({ attempt }) => (attempt === 1 ? { end: "hang" } : {}) };
    const failure = { stall_timeout: 0, heartbeat_timeout: 3 };
    const { states, events } = await run(script, experimentOf(1, { failure }));
    assert.deepEqual(states, ["0001 completed 2"]);
    const [retried] = events.filter((event) => event.type === "trial_retried");
    assert.match(retried?.error ?? "", /^the trainer of rank 0 on node is frozen: no heartbeat for 3 s/);
  });
});

describe("a cluster that changes", () => {
  it("has its new nodes used while a trial waits for room", async () => {
    const stop = new AbortController();
    const cluster = scriptedCluster({
      slots: { a: 1 },
      trial: ({ trialId }) => (trialId === "0001" ? { end: "hang" } : {}),
    });
    const { events, states } = await runOn(
      cluster,
      experimentOf(6),
      (event) => {
        if (event.type === "trial_started" && event.trial === "0001") cluster.resize(2, "b");
        if (event.type === "trial_ended" && event.trial === "0006") stop.abort();
      },
      stop.signal,
    );
    assert.deepEqual(states.slice(0, 2), ["0001 waiting 1", "0002 completed 1"]);
    const placed = events.flatMap((event) => (event.type === "run_placed" ? [event] : []));
    assert.deepEqual(
      placed.map(({ concurrency, change, trials }) => [concurrency, change, trials]),
      [
        [1, "", 6],
        [3, "1 node joined (b)", 6],
      ],
    );
    assert.equal(cluster.gangs.most, 3);
  });

  it("is looked at again where it did not tell what its new nodes hold", async () => {
    const stop = new AbortController();
    const cluster = scriptedCluster({
      slots: { a: 1 },
      trial: ({ trialId }) => (trialId === "0001" ? { end: "hang" } : {}),
    });
    let joined = false;
    let failures = 0;
    const check: ScriptedCluster["check"] = async (request) => {
      if (joined && failures++ === 0) throw new Error("too busy");
      return cluster.check(request);
    };
    const { states } = await runOn(
      { ...cluster, check },
      experimentOf(2),
      (event) => {
        if (event.type === "trial_started" && event.trial === "0001") {
          cluster.resize(1, "b");
          joined = true;
        }
        if (event.type === "trial_ended" && event.trial === "0002") stop.abort();
      },
      stop.signal,
    );
    assert.deepEqual(states, ["0001 waiting 1", "0002 completed 1"]);
    assert.ok(failures > 1, "it was asked again");
  });
});
