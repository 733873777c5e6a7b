/** Trials of several replicas on a real Ray: real trainers, real kills. What needs odd faults is in replicas.test.ts. */
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect } from "../../src/cluster/index.ts";
import { defineExperiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, type RunOptions, runExperiment, runFiles } from "../../src/experiment/index.ts";
import { until } from "../support/until.ts";

let folder = "";
let cluster: Cluster;
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-gangs-"));
  cluster = await connect({ gpus: 4, cpus: 4 });
});
after(async () => {
  await cluster?.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

interface Fault {
  rank: number;
  epoch: number;
  kind: "crash" | "throw" | "hang" | "waits-for-stop" | "slow";
}

interface Seen {
  rank: number;
  replicas: number;
  addresses: string[];
  pid: number;
  actor: number;
}

type Input = Pick<ExperimentInput, "resources" | "search" | "failure"> & {
  task?: string;
  epochs?: number;
  fault?: Fault;
};

let count = 0;
function start({ task = "replicas.mjs", epochs = 3, fault, ...more }: Input, options: Partial<RunOptions> = {}) {
  const name = `run-${++count}`;
  const module = path.join(import.meta.dirname, "../fixtures/tasks", task);
  const experiment = defineExperiment({ name, trainer: { module, parameters: { epochs, fault } }, ...more });
  return runExperiment(cluster, experiment, { runDir: path.join(folder, name), ...options });
}

async function run(
  input: Input,
  options: Partial<RunOptions> = {},
  onEvent: (event: RunEvent, runDir: string) => void | Promise<void> = () => {},
) {
  const started = start(input, options);
  const events: { at: number; event: RunEvent }[] = [];
  for await (const event of started) {
    events.push({ at: performance.now(), event });
    await onEvent(event, started.runDir);
  }
  return { results: await started.results, events };
}

const seen = (runDir: string, trial: string, attempt: number, rank: number): Seen =>
  JSON.parse(fs.readFileSync(path.join(runFiles.trial(runDir, trial), `seen-${attempt}-${rank}.json`), "utf8"));
const gone = (pid: number): boolean =>
  !fs.existsSync(`/proc/${pid}/stat`) || /\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
/** Waits for the end of the trainers of the first attempt: after a kill nobody else does. */
async function untilGone(runDir: string, replicas: number): Promise<void> {
  for (let rank = 0; rank < replicas; rank++) {
    const { pid } = seen(runDir, "0001", 1, rank);
    await until("the end of a trainer", () => gone(pid) || null);
  }
}
const epochsOf = (events: { event: RunEvent }[]) =>
  events.flatMap(({ event }) => (event.type === "epoch" ? [`${event.attempt}:${event.epoch}`] : []));

/** Whether somebody listens there. */
async function isListening(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  const socket = net.connect({ host: host ?? "", port: Number(port) });
  return new Promise((resolve) => {
    // The one who holds the port resets what connects, perhaps before that is told here.
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNRESET"));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

describe("a gang on Ray", () => {
  it("has a rank and an address for each replica, the same from trial to trial", async () => {
    const listening: boolean[] = [];
    const { results, events } = await run(
      {
        resources: { replicas: 3 },
        search: { space: { "trainer.parameters.n": { grid: [1, 2] } } },
      },
      {},
      async (event, runDir) => {
        if (event.type !== "epoch") return;
        for (const address of seen(runDir, event.trial, 1, 0).addresses) listening.push(await isListening(address));
      },
    );
    assert.deepEqual(
      results.trials.map(({ state, metrics }) => `${state} ${metrics.replicas} ${metrics.rank}`),
      ["completed 3 0", "completed 3 0"],
    );
    assert.deepEqual(epochsOf(events), ["1:1", "1:2", "1:3", "1:1", "1:2", "1:3"]);
    const ranks = [0, 1, 2].map((rank) => seen(results.runDir, "0001", 1, rank));
    assert.equal(new Set(ranks.map(({ pid }) => pid)).size, 3);
    assert.equal(new Set(ranks[0]?.addresses).size, 3);
    // Each port is held until TensorFlow takes it.
    assert.ok(listening.length > 0 && listening.every(Boolean), String(listening));
    for (const [rank, own] of ranks.entries()) {
      assert.deepEqual([own.rank, own.replicas, own.addresses], [rank, 3, ranks[0]?.addresses]);
      assert.deepEqual(seen(results.runDir, "0002", 1, rank), own);
      const log = fs.readFileSync(runFiles.trialLog(results.runDir, "0001", rank), "utf8");
      assert.equal(log, `rank ${rank} of 3\n`);
    }
  });

  for (const how of ["crash", "kill of its trainer", "kill of its actor"]) {
    it(`ends within 10 s at a ${how}, though the others' main threads are blocked, and goes on`, async () => {
      const fault: Fault = { rank: 1, epoch: 3, kind: how === "crash" ? "crash" : "hang" };
      let struck = 0;
      const { results, events } = await run({ epochs: 5, resources: { replicas: 3 }, fault }, {}, (event, runDir) => {
        if (event.type !== "epoch" || event.epoch !== 2) return;
        struck = performance.now();
        if (how === "crash") return fs.writeFileSync(path.join(runFiles.trial(runDir, "0001"), "crash"), "");
        const { pid, actor } = seen(runDir, "0001", 1, 1);
        process.kill(how.endsWith("trainer") ? pid : actor, "SIGKILL");
      });
      const retried = events.find(({ event }) => event.type === "trial_retried");
      assert.ok(retried !== undefined && retried.at - struck < 10_000, `${retried?.at} after ${struck}`);
      assert.match(
        retried.event.type === "trial_retried" ? retried.event.error : "",
        /rank 1 .*; log: .*trainer-1\.log$/,
      );
      assert.deepEqual([results.trials[0]?.state, results.trials[0]?.attempts], ["completed", 2]);
      assert.deepEqual(epochsOf(events), ["1:1", "1:2", "2:3", "2:4", "2:5"]);
      for (const rank of [0, 1, 2]) assert.ok(gone(seen(results.runDir, "0001", 1, rank).pid), `rank ${rank}`);
    });
  }

  it("fails by what its replica said that failed, while the others are blocked", async () => {
    const fault: Fault = { rank: 1, epoch: 2, kind: "throw" };
    const { results } = await run({ resources: { replicas: 2 }, fault }, { stopGraceSeconds: 1 });
    const [trial] = results.trials;
    assert.deepEqual([trial?.state, trial?.attempts], ["failed", 1]);
    assert.match(trial?.error ?? "", /^rank 1 can't go on; log: .*trainer-1\.log$/);
    await untilGone(results.runDir, 2);
  });

  it("stops with all replicas after the same epoch, and goes on after it", async () => {
    const stop = new AbortController();
    const input: Input = {
      epochs: 6,
      resources: { replicas: 3 },
      fault: { rank: 2, epoch: 4, kind: "waits-for-stop" },
    };
    const first = await run(input, { signal: stop.signal }, (event) => {
      if (event.type === "epoch" && event.epoch === 3) stop.abort();
    });
    assert.equal(first.results.state, "interrupted");
    // All were asked while some of them were blocked, and each has ended by itself after the same epoch: the others may
    // have been asked before they came to the fourth, rank 2 only then.
    assert.deepEqual(epochsOf(first.events), ["1:1", "1:2", "1:3", "1:4"]);
    for (const rank of [0, 1, 2]) assert.ok(gone(seen(first.results.runDir, "0001", 1, rank).pid), `rank ${rank}`);
    count--;
    const second = await run(input);
    assert.deepEqual(epochsOf(second.events), ["2:5", "2:6"]);
    assert.equal(second.results.trials[0]?.state, "completed");
  });

  it("is killed as a whole", async () => {
    const kill = new AbortController();
    const input: Input = { resources: { replicas: 2 }, fault: { rank: 1, epoch: 2, kind: "hang" } };
    const { results } = await run(input, { killSignal: kill.signal }, (event) => {
      if (event.type === "epoch") kill.abort();
    });
    assert.equal(results.state, "interrupted");
    await untilGone(results.runDir, 2);
  });

  it("names a replica that holds the others up", async () => {
    const { events } = await run({
      epochs: 4,
      resources: { replicas: 2 },
      fault: { rank: 1, epoch: 1, kind: "slow" },
    });
    const words = events.flatMap(({ event }) =>
      event.type === "log" && event.stream === "distmis" ? [event.text] : [],
    );
    const expected = `trial 0001: replica 1 on ${os.hostname()} holds the others up: for 3 epochs, up to epoch 3, its work has taken 2.0 times as long as theirs`;
    assert.deepEqual(words, [expected]);
  });

  it("may differ in size from trial to trial", async () => {
    const { results, events } = await run({ search: { space: { "resources.replicas": { grid: [1, 2, 4] } } } });
    assert.deepEqual(results.trials.map(({ trial, metrics }) => `${trial} ${metrics.replicas}`).toSorted(), [
      "0001 1",
      "0002 2",
      "0003 4",
    ]);
    const placed = events.find(({ event }) => event.type === "run_placed")?.event;
    assert.deepEqual(placed?.type === "run_placed" && placed.sizes.map(({ concurrency }) => concurrency), [3, 2, 1]);
  });
});

describe("TensorFlow's cluster over a gang", () => {
  it("is joined anew at a taken port and after a loss, and stays from trial to trial", async () => {
    const input: Input = {
      task: "all-reduce.ts",
      resources: { replicas: 2, max_concurrent_trials: 1 },
      search: { space: { "trainer.parameters.fault": { grid: ["port", "none", "crash"] } } },
      // A port that was taken is no failure.
      failure: { max_failures: 1 },
    };
    const { results, events } = await run(input, {}, (event, runDir) => {
      if (event.type !== "epoch" || event.epoch !== 2) return;
      fs.mkdirSync(runFiles.trial(runDir, event.trial), { recursive: true });
      fs.writeFileSync(path.join(runFiles.trial(runDir, event.trial), "crash"), "");
    });
    const trials = results.trials.toSorted((a, b) => (a.trial < b.trial ? -1 : 1));
    assert.deepEqual(
      trials.map(({ trial, state, attempts }) => `${trial} ${state} ${attempts}`),
      ["0001 completed 2", "0002 completed 1", "0003 completed 2"],
    );
    const reported = events.flatMap(({ event }) => (event.type === "epoch" ? [event] : []));
    assert.ok(reported.length >= 9 && reported.every(({ metrics }) => metrics.val_dice === 1 + 2));
    const process = (trial: string, attempt: number) =>
      reported.find((epoch) => epoch.trial === trial && epoch.attempt === attempt)?.metrics.pid;
    assert.equal(process("0001", 2), process("0002", 1));
    assert.equal(process("0002", 1), process("0003", 1));
    assert.notEqual(process("0003", 1), process("0003", 2));
    const [port, loss] = events.flatMap(({ event }) => (event.type === "trial_retried" ? [event.error] : []));
    assert.match(port ?? "", /replica 1 can't listen .* in use/);
    assert.match(loss ?? "", /rank 1 .* was killed by signal 9/);
  });
});
