/** What trials ask of nodes, on a real Ray of two unlike nodes: shares of a GPU, custom resources, labels, types of accelerators. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, it } from "node:test";
import { type Cluster, connect } from "../../src/cluster/index.ts";
import { defineExperiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, runExperiment, runFiles } from "../../src/experiment/index.ts";
import { type RayNodes, startRayNodes } from "../support/ray-nodes.ts";

let folder = "";
let ray: RayNodes;
let cluster: Cluster;
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-resources-"));
  ray = await startRayNodes([
    { gpus: 1, cpus: 4, resources: { license: 2, "accelerator_type:A100": 1 }, labels: { zone: "a" } },
    { gpus: 1, cpus: 4, resources: { "accelerator_type:H100": 1 }, labels: { zone: "b", spot: "true" } },
  ]);
  Object.assign(process.env, ray.environment);
  cluster = await connect({ rayAddress: ray.address });
});
after(async () => {
  await cluster?.close();
  await ray?.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Runs so many trials, of which all that fit at once are held until they are `together`, and tells where they were. */
async function run(name: string, resources: ExperimentInput["resources"], trials: number, together: number) {
  const gate = path.join(folder, `${name}.gate`);
  const experiment = defineExperiment({
    name,
    trainer: { module: path.join(import.meta.dirname, "../fixtures/tasks/gate.mjs"), parameters: { gate } },
    search: { space: { "trainer.parameters.n": { grid: Array.from({ length: trials }, (_, index) => index) } } },
    resources,
  });
  const started = runExperiment(cluster, experiment, { runDir: path.join(folder, name) });
  const running = new Set<string>();
  let most = 0;
  let placed: Extract<RunEvent, { type: "run_placed" }> | undefined;
  for await (const event of started) {
    if (event.type === "run_placed") placed = event;
    if (event.type === "trial_ended") running.delete(event.trial);
    if (event.type === "epoch") running.add(event.trial);
    most = Math.max(most, running.size);
    if (running.size === together) fs.writeFileSync(gate, "");
  }
  const { trials: ended, runDir } = await started.results;
  assert.ok(
    ended.every(({ state }) => state === "completed"),
    JSON.stringify(ended),
  );
  const where = ended.map(({ trial }) =>
    JSON.parse(fs.readFileSync(path.join(runFiles.trial(runDir, trial), "where-1.json"), "utf8")),
  );
  const nodes = where.map(({ node }) => node).toSorted();
  return { nodes, devices: where.map(({ devices }) => devices), most, concurrency: placed?.concurrency };
}

it("two trials share a GPU, and see it alone", async () => {
  const shared = await run("share", { gpus_per_replica: 0.5, node_labels: { zone: "b" } }, 2, 2);
  assert.deepEqual(shared, { nodes: [1, 1], devices: ["0", "0"], most: 2, concurrency: 2 });
});

it("a share that leaves less than another one is alone on its GPU", async () => {
  const apart = await run("apart", { gpus_per_replica: 0.6 }, 3, 2);
  assert.deepEqual([apart.most, apart.concurrency], [2, 2]);
  assert.deepEqual(new Set(apart.nodes), new Set([0, 1]));
});

it("a custom resource bounds how many trials run at once, and where", async () => {
  const { nodes, most, concurrency } = await run("custom", { gpus_per_replica: 0, custom: { license: 1 } }, 4, 2);
  assert.deepEqual([nodes, most, concurrency], [[0, 0, 0, 0], 2, 2]);
});

it("a label puts trials on its nodes", async () => {
  const { nodes } = await run("label", { gpus_per_replica: 0, node_labels: { spot: "true" } }, 2, 2);
  assert.deepEqual(nodes, [1, 1]);
});

it("an accelerator type puts trials on its nodes", async () => {
  const { nodes, devices, concurrency } = await run("accelerator", { accelerator_type: "H100" }, 2, 1);
  assert.deepEqual([nodes, devices, concurrency], [[1, 1], ["0", "0"], 1]);
});

it("what no node has is refused by its name", async () => {
  const refused = (resources: ExperimentInput["resources"], text: RegExp) =>
    assert.rejects(run("refused", resources, 1, 1), text);
  await refused(
    { accelerator_type: "B200" },
    /a replica needs an accelerator of type B200; the largest node .* none of/,
  );
  await refused({ node_labels: { zone: "c" } }, /a replica needs a node with the label zone=c; none of the 2 nodes/);
  await refused({ custom: { license: 3 } }, /a replica needs 3 license; the largest node .* has 2 license/);
  await refused({ gpus_per_replica: 1.5 }, /per_replica\.gpus is 1\.5; above 1 it must be a whole number/);
});
