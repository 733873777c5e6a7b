/** A trial of several replicas over two nodes of Ray, one of which is lost. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, it } from "node:test";
import { type Cluster, connect } from "../../src/cluster/index.ts";
import { defineExperiment } from "../../src/config/index.ts";
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
