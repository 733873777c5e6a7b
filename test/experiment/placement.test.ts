import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineExperiment, type ExperimentInput } from "../../src/config/index.ts";
import { autoCpus } from "../../src/experiment/placement.ts";
import type { Node } from "../../src/generated/distmis/v1/cluster.ts";

function node(cpus: number, gpus: number, more: Partial<Node> = {}): Node {
  const total = { CPU: cpus, ...(gpus === 0 ? {} : { GPU: gpus }) };
  return {
    nodeId: "",
    hostName: "",
    address: "",
    alive: true,
    total,
    free: total,
    labels: {},
    deathCause: "",
    ...more,
  };
}

function cpus(nodes: Node[], resources: ExperimentInput["resources"] = {}): number {
  return autoCpus(nodes, defineExperiment({ name: "x", trainer: { module: "m" }, resources }).resources);
}

describe("cpus_per_replica: auto", () => {
  it("is a node's CPUs over its GPUs, on the node where that is least", () => {
    assert.equal(cpus([node(40, 4)]), 10);
    assert.equal(cpus([node(40, 4), node(24, 4), node(64, 0)]), 6);
    assert.equal(cpus([node(7, 4)]), 1);
  });

  it("leaves no GPU idle where there are fewer CPUs than GPUs", () => {
    const share = cpus([node(2, 32)]);
    assert.equal(share, 0.0625);
    assert.ok(32 * cpus([node(2, 3)]) <= 64);
    assert.equal(cpus([node(2, 3)]), 0.6666);
  });

  it("goes with the share of the GPUs", () => {
    assert.equal(cpus([node(40, 4)], { gpus_per_replica: 2 }), 20);
    assert.equal(cpus([node(40, 4)], { gpus_per_replica: 0.5 }), 5);
  });

  it("asks only the nodes that can be used", () => {
    assert.equal(cpus([node(8, 4, { alive: false }), node(40, 4)]), 10);
    assert.equal(cpus([node(8, 4), node(40, 4, { labels: { kind: "a" } })], { node_labels: { kind: "a" } }), 10);
    assert.equal(cpus([]), 1);
  });

  it("without GPUs is 1, or the CPUs over the trials at once, on one node", () => {
    assert.equal(cpus([node(8, 0)], { gpus_per_replica: 0 }), 1);
    assert.equal(cpus([node(8, 0)], { gpus_per_replica: 0, max_concurrent_trials: 2 }), 4);
    assert.equal(cpus([node(8, 0), node(8, 0)], { gpus_per_replica: 0, max_concurrent_trials: 1 }), 8);
  });
});
