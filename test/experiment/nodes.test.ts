/** Nodes of a real Ray that are lost, join, fail trials, or freeze them. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, it } from "node:test";
import { type Cluster, connect } from "../../src/cluster/index.ts";
import { defineExperiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, runExperiment } from "../../src/experiment/index.ts";
import { type RayNodes, startRayNodes } from "../support/ray-nodes.ts";

let folder = "";
let ray: RayNodes;
let cluster: Cluster;
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-nodes-"));
  ray = await startRayNodes([2, 2]);
  Object.assign(process.env, ray.environment);
  cluster = await connect({ rayAddress: ray.address });
});
after(async () => {
  await cluster?.close();
  await ray?.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

it("goes on with the replicas that fit on the nodes that are left", async () => {
  const module = path.join(import.meta.dirname, "../fixtures/tasks/replicas.mjs");
  const experiment = defineExperiment({
    name: "elastic",
    // So that the trial can't end before the node does.
    trainer: { module, parameters: { epochs: 4, fault: { rank: 0, epoch: 3, kind: "hang" } } },
    resources: { replicas: 4, elastic: { min: 1, max: 4 } },
  });
  const run = runExperiment(cluster, experiment, { runDir: path.join(folder, "elastic") });
  const events: { at: number; event: RunEvent }[] = [];
  let killed = 0;
  for await (const event of run) {
    events.push({ at: performance.now(), event });
    if (event.type !== "epoch" || event.epoch !== 2) continue;
    ray.kill(1);
    killed = performance.now();
  }
  const retried = events.find(({ event }) => event.type === "trial_retried");
  assert.ok(retried !== undefined && retried.at - killed < 10_000, `${(retried?.at ?? 0) - killed} ms`);
  assert.match(retried.event.type === "trial_retried" ? retried.event.error : "", /^node .* left the cluster: /);
  assert.deepEqual(
    events.flatMap(({ event }) => (event.type === "trial_started" ? [event.replicas] : [])),
    [4, 2],
  );
  assert.deepEqual(
    events.flatMap(({ event }) => (event.type === "epoch" ? [`${event.attempt}:${event.epoch}`] : [])),
    ["1:1", "1:2", "2:3", "2:4"],
  );
  const [trial] = (await run.results).trials;
  assert.deepEqual([trial?.state, trial?.metrics.replicas], ["completed", 2]);
});

/** Runs trials of gate.mjs, each with one GPU; what they wait for is opened by `onEvent`. */
async function search(
  name: string,
  trials: number,
  more: { broken?: { node: number; kind: string }; failure?: ExperimentInput["failure"] },
  onEvent: (event: RunEvent, open: () => void) => void = () => {},
) {
  const gate = path.join(folder, `${name}.gate`);
  const module = path.join(import.meta.dirname, "../fixtures/tasks/gate.mjs");
  const { broken, failure } = more;
  const experiment = defineExperiment({
    name,
    trainer: { module, parameters: { gate, broken } },
    search: { space: { "trainer.parameters.n": { grid: Array.from({ length: trials }, (_, index) => index) } } },
    resources: { cpus_per_replica: 1 },
    failure,
  });
  const run = runExperiment(cluster, experiment, { runDir: path.join(folder, name) });
  const events: RunEvent[] = [];
  for await (const event of run) {
    events.push(event);
    onEvent(event, () => fs.writeFileSync(gate, ""));
  }
  const { trials: ended } = await run.results;
  assert.deepEqual(
    ended.map(({ state }) => state),
    Array(trials).fill("completed"),
  );
  const words = events.flatMap((event) => (event.type === "log" && event.stream === "distmis" ? [event.text] : []));
  const placed = events.flatMap((event) => (event.type === "run_placed" ? [event] : []));
  const errors = events.flatMap((event) => (event.type === "trial_retried" ? [event.error] : []));
  return { ended, words, placed, errors };
}

it("uses a node that joins, and does without one that leaves, while trials run", async () => {
  // Node 1 is gone since the test above.
  let joins = false;
  let reports = 0;
  const { placed, ended, errors } = await search("changes", 5, {}, (event, open) => {
    if (event.type === "trial_started" && !joins) {
      joins = true;
      void ray.restart(1);
    }
    // Both trials of the head and both of the new node wait.
    if (event.type === "epoch" && event.attempt === 1 && ++reports === 4) ray.kill(1);
    if (event.type === "run_placed" && /left/.test(event.change)) open();
  });
  assert.deepEqual(
    placed.map(({ concurrency }) => concurrency),
    [2, 4, 2],
  );
  assert.match(placed.map(({ change }) => change).join(" "), /1 node joined \(.*\) 1 node left/);
  assert.equal(errors.length, 2);
  assert.ok(ended.filter(({ attempts }) => attempts === 2).length === 2);
});

it("leaves a node out on which trials crash, and a frozen trainer is not waited for", async () => {
  await ray.restart(1);
  const node = 1;
  const crash = await search("crash", 8, { broken: { node, kind: "crash" } }, (event, open) => {
    if (event.type === "run_placed" && event.concurrency === 2) open();
  });
  assert.equal(crash.words.length, 1);
  assert.match(crash.words[0] ?? "", /^node .* is left out for the rest of this run: \d in a row were lost there/);
  assert.deepEqual(
    crash.placed.map(({ concurrency }) => concurrency),
    [4, 2],
  );
  const began = performance.now();
  const failure = { heartbeat_timeout: 4, node_failures: 1 };
  const freeze = await search("freeze", 4, { broken: { node, kind: "freeze" }, failure }, (event, open) => {
    if (event.type === "trial_retried") open();
  });
  assert.ok(performance.now() - began < 60_000);
  assert.match(freeze.errors[0] ?? "", /^the trainer of rank 0 on .* is frozen: no heartbeat for 4 s .*; log: /);
});
