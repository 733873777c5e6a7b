/** The client with the real shim, a real Ray and real trainers. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type Cluster,
  connect,
  type Gang,
  GangEndCause,
  type GangEvent,
  type GangRequest,
  PlacementStrategy,
} from "../../src/cluster/index.ts";
import { DistmisError } from "../../src/errors/index.ts";
import { TrialOutcome } from "../../src/generated/distmis/v1/trainer.ts";
import { markChildren } from "../support/marked-processes.ts";
import { assignment, fixture, progressOf } from "../support/trainer.ts";
import { until, untilSteady } from "../support/until.ts";

const mark = markChildren();
let cluster: Cluster;
let dir = "";

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "cluster-test-"));
  cluster = await connect({ gpus: 2, cpus: 4 });
});
after(async () => {
  await cluster?.close();
  fs.rmSync(dir, { recursive: true });
});

function request(gpus: number, replicas = 1): GangRequest {
  const perReplica = { gpus, cpus: 1, memoryBytes: 0, custom: {}, nodeLabels: {} };
  return { replicas, perReplica, strategy: PlacementStrategy.PLACEMENT_STRATEGY_PACK, excludedNodes: [] };
}

function privateDirs(): string[] {
  return fs.readdirSync("/tmp").filter((name) => {
    const owner = path.join("/tmp", name, "owner.json");
    return (
      name.startsWith("distmis-") && fs.existsSync(owner) && fs.readFileSync(owner, "utf8").includes(`:${process.pid},`)
    );
  });
}

type Ended = Extract<GangEvent, { type: "ended" }>["ended"];
type Said<C> = Extract<Extract<GangEvent, { type: "message" }>["message"], { $case: C }>["value"];

/** A gang that is read step by step. */
function listen(gang: Gang) {
  const events = gang.events[Symbol.asyncIterator]();
  const logs = { stdout: "", stderr: "" };
  async function next(): Promise<GangEvent> {
    const { value, done } = await events.next();
    if (done) throw new Error("no more events");
    if (value.type === "log") logs[value.stream] += value.text;
    return value;
  }
  async function message<C extends string>(kind: C): Promise<Said<C>> {
    for (;;) {
      const event = await next();
      if (event.type === "ended") throw new Error(`the gang ended: ${event.ended.message}; ${logs.stderr}`);
      if (event.type === "message" && event.message.$case === kind) return event.message.value as Said<C>;
    }
  }
  return {
    logs,
    next,
    message,
    async placed() {
      const event = await next();
      assert.ok(event.type === "placed", JSON.stringify(event));
      return event.workers;
    },
    async ended(): Promise<Ended> {
      for (;;) {
        const event = await next();
        if (event.type !== "ended") continue;
        assert.equal((await events.next()).done, true);
        return event.ended;
      }
    },
  };
}

function start(name: string, options: { gpus?: number; command?: string[] } = {}) {
  const trainer = options.command && { command: options.command, environment: {}, workingDirectory: dir };
  const gang = cluster.runGang({
    name,
    request: request(options.gpus ?? 1),
    placementDeadlineSeconds: 30,
    ...(trainer && { trainer }),
  });
  return { gang, events: listen(gang) };
}

function isAlive(pid: number): boolean {
  return fs.existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
}

describe("a cluster", { timeout: 120_000 }, () => {
  it("tells its nodes and what fits", async () => {
    const { nodes, rayVersion, rayAddress } = await cluster.describe();
    assert.equal(nodes.length, 1);
    assert.deepEqual([nodes[0]?.alive, nodes[0]?.total.GPU, nodes[0]?.total.CPU], [true, 2, 4]);
    assert.match(rayVersion, /^\d+\.\d+/);
    assert.match(rayAddress, /:\d+$/);
    assert.equal((await cluster.check(request(1))).gangsInTotal, 2);
    // The socket is this user's alone.
    assert.deepEqual(
      privateDirs().map((name) => fs.statSync(path.join("/tmp", name)).mode & 0o777),
      [0o700],
    );
    const never = await cluster.check(request(3));
    assert.equal(never.gangsInTotal, 0);
    assert.match(never.missing, /GPU/);
  });

  it("runs several trials on one warm trainer", async () => {
    const { gang, events } = start("warm");
    const [worker] = await events.placed();
    assert.ok(worker !== undefined);
    assert.deepEqual([worker.rank, worker.gpuIds.length, isAlive(worker.trainerPid)], [0, 1, true]);
    const ready = await events.message("ready");
    for (const attempt of [1, 2, 3]) {
      await gang.send(0, assignment(fixture("epochs.ts"), dir, { attempt, epochs: 2 }));
      const report = await events.message("report");
      assert.deepEqual([report.attempt, report.epoch, report.metrics.loss], [attempt, 1, 1]);
      const ended = await events.message("ended");
      assert.deepEqual([ended.outcome, ended.clean], [TrialOutcome.TRIAL_OUTCOME_COMPLETED, true]);
      assert.deepEqual([ended.metrics.trials, ended.metrics.threads], [attempt, 1]);
    }
    assert.equal(events.logs.stdout, "trial t1 begins: größer\n".repeat(3));
    assert.ok((await events.message("heartbeat")).residentBytes > 0);
    gang.stop(5);
    assert.equal((await events.ended()).cause, GangEndCause.GANG_END_CAUSE_STOPPED);
    assert.deepEqual([isAlive(ready.pid), isAlive(worker.actorPid)], [false, false]);
    assert.equal((await cluster.check(request(1))).gangsInFree, 2);
  });

  it("tells how a trainer died, and what it printed before", async () => {
    const exit = start("exit");
    const crash = start("crash");
    const ends = [exit, crash].map(async ({ gang, events }, index) => {
      await events.message("ready");
      const parameters = { fault: index === 0 ? "exit" : "sigsegv" };
      await gang.send(0, assignment(fixture("faulty.ts"), dir, { parameters }));
      return await events.ended();
    });
    const [exited, crashed] = await Promise.all(ends);
    assert.deepEqual(
      [exited?.cause, exited?.rank, exited?.exitCode],
      [GangEndCause.GANG_END_CAUSE_TRAINER_EXITED, 0, 7],
      exited?.message,
    );
    assert.deepEqual(
      [crashed?.cause, crashed?.signal],
      [GangEndCause.GANG_END_CAUSE_TRAINER_EXITED, 11],
      crashed?.message,
    );
  });

  it("refuses what can never be placed, and a program that is not there", async () => {
    const refused = await start("too-large", { gpus: 3 }).events.ended();
    assert.equal(refused.cause, GangEndCause.GANG_END_CAUSE_REFUSED);
    const missing = await start("missing", { command: [path.join(dir, "no-such-program")] }).events.ended();
    assert.equal(missing.cause, GangEndCause.GANG_END_CAUSE_START_FAILED);
    assert.match(missing.message, /no-such-program/);
  });

  it("ends a trainer that does not speak the protocol", async () => {
    const babble = `require("fs").writeSync(3, "hello"); setInterval(() => {}, 1000)`;
    const { events } = start("babble", { command: [process.execPath, "-e", babble] });
    const [worker] = await events.placed();
    const ended = await events.ended();
    assert.equal(ended.cause, GangEndCause.GANG_END_CAUSE_TRAINER_EXITED);
    assert.match(ended.message, /rank 0 in gang babble broke its protocol/);
    await until("its end", () => !isAlive(worker?.trainerPid ?? 0) || null);
  });

  it("holds a trainer back while nobody listens, and other gangs go on", async () => {
    const count = 8_000;
    const flood = start("flood", { gpus: 0.5 });
    const other = start("other", { gpus: 0.5 });
    await flood.events.message("ready");
    await flood.gang.send(0, assignment(fixture("flood.ts"), dir, { epochs: count, parameters: { padding: 4000 } }));
    await until("the first reports", () => progressOf(dir) > 0 || null);
    const stuck = await untilSteady("the trainer is held back", () => progressOf(dir), 20_000);
    assert.ok(stuck < count / 2, `${stuck} of ${count} reports were taken`);

    await other.events.message("ready");
    await other.gang.send(0, assignment(fixture("epochs.ts"), dir));
    assert.equal((await other.events.message("ended")).outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED);
    other.gang.kill();
    assert.equal((await other.events.ended()).cause, GangEndCause.GANG_END_CAUSE_STOPPED);

    for (let epoch = 1; epoch <= count; epoch++) assert.equal((await flood.events.message("report")).epoch, epoch);
    assert.equal((await flood.events.message("ended")).outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED);
    flood.gang.kill();
    await flood.events.ended();
  });

  it("frees everything when a gang is killed while its trainer computes", async () => {
    const { gang, events } = start("busy", { gpus: 2 });
    const [worker] = await events.placed();
    await events.message("ready");
    const parameters = { busy_ms: 60_000, step_ms: 60_000 };
    await gang.send(0, assignment(fixture("busy.ts"), dir, { parameters }));
    await events.message("report");
    gang.kill();
    await events.ended();
    await until("the end of the trainer", () => !isAlive(worker?.trainerPid ?? 0) || null);
    await until("free GPUs", async () => (await cluster.check(request(1))).gangsInFree === 2 || null);
  });

  it("notices when the shim is killed, and leaves nothing behind", async () => {
    const { gang, events } = start("lost");
    await events.message("ready");
    assert.ok(mark.processes().length > 3);
    const shim = mark.processes().find((line) => line.includes("distmis_shim"));
    process.kill(Number(shim?.split(" ")[0]), "SIGKILL");
    assert.match(await cluster.lost, /ended by SIGKILL/);
    const ended = await events.ended();
    assert.equal(ended.cause, GangEndCause.GANG_END_CAUSE_SHUTDOWN);
    assert.match(ended.message, /ended by SIGKILL/);
    await gang.send(0, assignment("train", dir));
    await assert.rejects(cluster.describe(), { code: "CLUSTER_UNAVAILABLE" });
    assert.equal(privateDirs().length, 1);
    await cluster.close();
    assert.deepEqual(privateDirs(), []);
    await until("the end of all processes", () => mark.processes().length === 0 || null, 15_000);
  });
});

describe("connect", { timeout: 120_000 }, () => {
  it("and close leave no process and no folder, even with a gang at work", async () => {
    const logDir = path.join(dir, "logs");
    cluster = await connect({ gpus: 1, cpus: 1, logDir });
    const { gang, events } = start("open");
    await events.message("ready");
    const parameters = { busy_ms: 60_000, step_ms: 60_000 };
    await gang.send(0, assignment(fixture("busy.ts"), dir, { parameters }));
    await events.message("report");
    const [ended] = await Promise.all([events.ended(), cluster.close(), cluster.close()]);
    assert.equal(ended.cause, GangEndCause.GANG_END_CAUSE_SHUTDOWN);
    assert.deepEqual(mark.processes(), []);
    assert.deepEqual(privateDirs(), []);
    assert.ok(fs.existsSync(path.join(logDir, "shim.log")));
    assert.throws(() => start("late"), { code: "CLUSTER_UNAVAILABLE" });
  });

  it("says what is wrong when there is no cluster or no Python", async () => {
    await assert.rejects(connect({ rayAddress: "127.0.0.1:1" }), (error) => {
      return (
        error instanceof DistmisError && error.code === "CLUSTER_UNAVAILABLE" && /127\.0\.0\.1:1/.test(error.message)
      );
    });
    const python = process.env.DISTMIS_PYTHON;
    process.env.DISTMIS_PYTHON = "/nowhere/python";
    try {
      await assert.rejects(connect(), { code: "SETUP_INCOMPLETE", message: /\/nowhere\/python .*distmis setup/ });
    } finally {
      if (python === undefined) delete process.env.DISTMIS_PYTHON;
      else process.env.DISTMIS_PYTHON = python;
    }
    await until("the end of all processes", () => mark.processes().length === 0 || null);
    assert.deepEqual(privateDirs(), []);
  });

  it("can be interrupted", async () => {
    await assert.rejects(connect({ signal: AbortSignal.abort() }), { code: "INTERRUPTED" });
    const start = performance.now();
    await assert.rejects(connect({ gpus: 1, signal: AbortSignal.timeout(2000) }), { code: "INTERRUPTED" });
    assert.ok(performance.now() - start < 6000);
    await until("the end of all processes", () => mark.processes().length === 0 || null);
    assert.deepEqual(privateDirs(), []);
  });
});
