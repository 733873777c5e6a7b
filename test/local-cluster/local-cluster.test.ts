import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { connect } from "../../src/cluster/index.ts";
import {
  findLocalCluster,
  type LocalCluster,
  NODE_LABEL,
  startLocalCluster,
  stopLocalCluster,
} from "../../src/local-cluster/index.ts";
import { markChildren } from "../support/marked-processes.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";

let folder = "";
let dir = "";
const mark = markChildren();
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "dml"));
  dir = path.join(folder, "c");
  process.env.DISTMIS_CLUSTER_DIR = dir;
});
after(async () => {
  await stopLocalCluster(dir);
  delete process.env.DISTMIS_CLUSTER_DIR;
  fs.rmSync(folder, { recursive: true, force: true });
});

const NODE = { cpus: 1, gpus: 2 };

/** Kills the processes of a node that run a program of this name, and waits until the node is taken for dead. */
async function kill(cluster: LocalCluster, node: number, program: string): Promise<void> {
  const victims = cluster.processes(node).filter(({ command }) => command.includes(program));
  assert.ok(victims.length > 0);
  for (const { pid } of victims) process.kill(pid, "SIGKILL");
  await until("the death of the node", async () => (await findLocalCluster())?.nodes[node]?.alive === false);
}

async function distmis(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = [...["--import", import.meta.resolve("tsx")], path.join(repositoryRoot, "src/cli/main.ts"), ...args];
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, command)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe("a local cluster", { timeout: 240_000 }, () => {
  it("is started once, gets further nodes, and is whole again after nodes or its head were killed", async () => {
    assert.equal(await findLocalCluster(), null);
    await assert.rejects(connect({ rayAddress: "local" }), { code: "CLUSTER_UNAVAILABLE", message: /cluster start/ });

    const first = await startLocalCluster({ nodes: [NODE] });
    assert.deepEqual(first.started, [0]);
    assert.equal(fs.statSync(path.join(dir, "token")).mode & 0o777, 0o600);
    const commands = first.processes(0).map(({ command }) => command);
    assert.ok(commands.some((command) => command.includes("gcs_server")));
    // Nobody speaks Ray Client's protocol here.
    assert.ok(!commands.some((command) => command.includes("ray.util.client.server")), commands.join("\n"));
    const larger = await startLocalCluster({ nodes: [NODE, { ...NODE, resources: { fpga: 1 } }] });
    assert.deepEqual([larger.started, larger.address], [[1], first.address]);
    await assert.rejects(startLocalCluster({ nodes: [{ cpus: 1, gpus: 1 }] }), {
      code: "RUN_REFUSED",
      message: /1 CPUs and 2 GPUs, 1 CPUs and 2 GPUs; asked for: 1 CPUs and 1 GPUs\): stop it first/,
    });

    const cluster = await connect({ rayAddress: "local" });
    const { nodes } = await cluster.describe().finally(() => cluster.close());
    assert.deepEqual(nodes.map(({ labels, total }) => [labels[NODE_LABEL], total.GPU, total.fpga]).toSorted(), [
      ["0", 2, undefined],
      ["1", 2, 1],
    ]);
    // Without the token nobody gets in.
    await assert.rejects(connect({ rayAddress: first.address }), { code: "CLUSTER_UNAVAILABLE" });

    await kill(larger, 1, "/raylet/raylet ");
    assert.deepEqual((await distmis("cluster", "start")).code, 0);
    const repaired = await startLocalCluster({
      nodes: larger.nodes.map(({ alive: _, ...node }) => node),
    });
    assert.deepEqual([repaired.started, repaired.nodes.map(({ alive }) => alive)], [[], [true, true]]);

    await kill(repaired, 0, "/gcs/gcs_server ");
    await assert.rejects(connect({ rayAddress: "local" }), { code: "CLUSTER_UNAVAILABLE", message: /head .* is dead/ });
    const anew = await startLocalCluster({ nodes: [NODE] });
    assert.deepEqual([anew.started, anew.nodes.length], [[0], 1]);

    const status = await distmis("cluster", "status", "--json");
    assert.deepEqual(JSON.parse(status.stdout).nodes, [
      { node: 0, alive: true, cpus: 1, gpus: 2, free: JSON.parse(status.stdout).nodes[0].free },
    ]);
    assert.equal(JSON.parse(status.stdout).nodes[0].free.GPU, 2);
    assert.equal(await stopLocalCluster(), 1);
    assert.equal(await stopLocalCluster(), null);
    await until("the end of all processes", () => mark.processes().length === 0);
    assert.deepEqual(fs.readdirSync(folder), []);
    assert.deepEqual(await distmis("cluster", "status"), {
      code: 1,
      stdout: "no local cluster runs on this machine; `distmis cluster start` starts one\n",
      stderr: "",
    });
  });

  it("leaves nothing when its start is interrupted or fails", async () => {
    await assert.rejects(startLocalCluster({ nodes: [NODE], signal: AbortSignal.timeout(500) }), {
      code: "INTERRUPTED",
    });
    await assert.rejects(startLocalCluster({ nodes: [{ ...NODE, labels: { "not a label": "!" } }] }), {
      code: "CLUSTER_UNAVAILABLE",
      message: /^node 0 of Ray did not start, it ended with exit code 1: .*not a label/,
    });
    await until("the end of all processes", () => mark.processes().length === 0);
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  it("is not made in a folder of others, nor taken for living after a reboot", async () => {
    fs.mkdirSync(dir, { mode: 0o700 });
    fs.writeFileSync(path.join(dir, "thesis.tex"), "");
    await assert.rejects(startLocalCluster({ nodes: [NODE] }), { code: "FILE_UNUSABLE", message: /found thesis\.tex/ });
    fs.rmSync(path.join(dir, "thesis.tex"));
    fs.chmodSync(dir, 0o755);
    await assert.rejects(startLocalCluster({ nodes: [NODE] }), { code: "FILE_UNUSABLE", message: /yours alone/ });
    const state = {
      version: 1,
      bootId: "another",
      pidNamespace: "",
      mark: "m",
      since: "",
      address: "a:1",
      nodes: [NODE],
    };
    fs.writeFileSync(path.join(dir, "cluster.json"), JSON.stringify(state));
    assert.equal(await findLocalCluster(), null);
    fs.rmSync(dir, { recursive: true });
  });
});
