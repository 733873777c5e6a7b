/** From `distmis submit` to the results of real training, which are those of the same search on a Ray of this machine. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { differences } from "../../scripts/chaos/results.ts";
import { makePhantom } from "../../src/phantom/index.ts";
import { writeTfrecords } from "../../src/prepare/index.ts";
import { distmisCommand, startCommand } from "../support/command.ts";
import { until } from "../support/until.ts";
import { type SlurmCluster, slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";

const skip = slurmMissing() ?? false;

describe("a search of real trainings", { skip }, () => {
  let folder = "";
  let cluster: SlurmCluster;
  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-end-to-end-"));
    const msd = path.join(folder, "msd");
    await makePhantom({ targetDir: msd, count: 8, shape: [16, 16, 16], seed: 1, modalities: 1 });
    await writeTfrecords({ sourceDir: msd, targetDir: path.join(folder, "data"), split: [0.75, 0.25, 0], divisor: 4 });
    cluster = await startSlurmCluster({ nodes: 2, gpus: 2 });
  });
  after(async () => {
    await cluster?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  function experimentFile(name: string, more: string): string {
    const file = path.join(folder, `${name}.yaml`);
    fs.writeFileSync(
      file,
      `name: ${name}\ndata: { dir: data }\nmodel: { filters: 4, depth: 2, groups: 2 }\n` +
        `train: { epochs: 3, batch_size_per_replica: 1, seed: 1 }\n${more}`,
    );
    return file;
  }

  /** Runs it both ways, and returns the folders: on this machine, as a job. */
  async function both(file: string, local: readonly string[]): Promise<[string, string]> {
    const folders: [string, string] = [path.join(folder, "here", path.basename(file)), `${file}.run`];
    const [here, there] = folders;
    const nodes = ["--nodes", "2", "--gpus-per-node", "2", "--cpus-per-node", "4", "--time", "10"];
    const submit = startCommand(
      cluster.command(distmisCommand(["submit", file, ...nodes, "--run-dir", there, "--json"])),
      folder,
    );
    assert.equal((await submit.exit).code, 0, submit.stderr());
    const { job, log } = JSON.parse(submit.stdout());
    // One after the other: this machine is that of the nodes, too.
    const state = await cluster.untilJob(job, ["COMPLETED", "FAILED", "TIMEOUT"], 400_000);
    assert.equal(state, "COMPLETED", fs.readFileSync(log, "utf8"));
    const run = startCommand(distmisCommand(["run", file, "--run-dir", here, ...local]), folder);
    assert.equal((await run.exit).code, 0, run.stderr());
    return folders;
  }

  const attempts = (runDir: string) =>
    fs
      .readFileSync(path.join(runDir, "journal.jsonl"), "utf8")
      .split("\n")
      .flatMap((line) => (line.includes('"attempt_started"') ? [JSON.parse(line) as { nodes: string[] }] : []));

  it("has the results of a Ray of this machine", async () => {
    const space = "{ train.learning_rate: { grid: [0.001, 0.003] }, model.norm: { grid: [batch, group] } }";
    const file = experimentFile("search", `search: { space: ${space} }\nresources: { cpus_per_replica: 1 }\n`);
    const [here, there] = await both(file, ["--gpus", "4", "--cpus", "4"]);
    assert.deepEqual(differences(here, there), []);
    const nodes = new Set(attempts(there).flatMap((attempt) => attempt.nodes));
    assert.deepEqual([...nodes].sort(), ["node1", "node2"]);
  });

  it("trains one model on two nodes at once, with the results of two replicas here", async () => {
    const resources = "replicas: 2, cpus_per_replica: 1, gpus_per_replica: 2";
    const file = experimentFile("parallel", `resources: { ${resources} }\n`);
    const [here, there] = await both(file, ["--gpus", "4", "--cpus", "4"]);
    assert.deepEqual(differences(here, there), []);
    // Each node has two GPUs, so a replica has a node.
    assert.deepEqual(
      attempts(there).map(({ nodes }) => nodes.toSorted()),
      [["node1", "node2"]],
    );
  });

  it("leaves no copy of its data on the nodes when it is cancelled", async () => {
    const local = path.join(folder, "local");
    fs.mkdirSync(local);
    const file = experimentFile("staged", "resources: { cpus_per_replica: 1 }\n");
    const nodes = ["--nodes", "2", "--gpus-per-node", "1", "--cpus-per-node", "2", "--time", "10"];
    const more = ["--stage-to-local", local, "--set", "train.epochs=100000", "--no-disk-check"];
    const space = ["--set", "search.space={train.learning_rate: {grid: [0.001, 0.003]}}"];
    const args = ["submit", file, ...nodes, ...more, ...space, "--run-dir", `${file}.run`, "--json"];
    const submit = startCommand(cluster.command(distmisCommand(args)), folder);
    assert.equal((await submit.exit).code, 0, submit.stderr());
    const { job, log } = JSON.parse(submit.stdout());
    const said = (): string => (fs.existsSync(log) ? fs.readFileSync(log, "utf8") : "");
    await until(
      () => `epochs of both trials; it said ${said()}`,
      () => /trial 0001 .*epoch 1\//.test(said()) && /trial 0002 .*epoch 1\//.test(said()),
      180_000,
    );
    const copies = (): string[] => fs.readdirSync(local, { recursive: true }).map(String);
    // Each node has one.
    assert.equal(copies().filter((name) => name.endsWith("train_0.tfrecord")).length, 2, copies().join("\n"));
    await cluster.exec("scancel", job);
    await until(
      () => `the end of all copies: ${copies().join("\n")}`,
      () => copies().length === 0,
      10_000,
    );
    assert.equal(await cluster.untilJob(job, ["CANCELLED"]), "CANCELLED");
  });
});
