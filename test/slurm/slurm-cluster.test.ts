/** The cluster that the other tests of this folder trust. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { processesWith } from "../../src/processes/index.ts";
import { until } from "../support/until.ts";
import { slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";

const skip = slurmMissing() ?? false;

test("srun reaches all hosts, SLURM deals out their GPUs, and a host comes and goes", { skip }, async (t) => {
  const cluster = await startSlurmCluster({ nodes: 3, gpus: 4, hetero: true });
  t.after(() => cluster.stop());
  const words = "hostname; echo $CUDA_VISIBLE_DEVICES";
  const one = (i: number, gpus: number): Promise<string> =>
    cluster.exec("srun", "-w", `node${i}`, "-n1", `--gpus-per-node=${gpus}`, "bash", "-c", words);
  assert.equal(await one(1, 4), "node1\n0,1,2,3\n");
  assert.equal(await one(2, 1), "node2\n0\n");
  assert.equal(await one(3, 2), "node3\n0,1\n");
  await assert.rejects(one(3, 3), /Requested node configuration is not available/);
  const all = await cluster.exec("srun", "-N3", "--ntasks-per-node=1", "hostname");
  assert.deepEqual(all.trim().split("\n").sort(), ["node1", "node2", "node3"]);

  const knock = (): Promise<boolean> =>
    cluster.node(1, "timeout", "1", "bash", "-c", "</dev/tcp/node2/6818").then(
      () => true,
      () => false,
    );
  assert.equal(await knock(), true);
  await cluster.down(2);
  assert.equal(await knock(), false);
  await cluster.up(2);
  await until("node2 back on the network", knock);
});

test("two clusters at once do not meet, and nothing is left of one", { skip }, async (t) => {
  const first = await startSlurmCluster({ nodes: 2 });
  t.after(() => first.stop());
  const second = await startSlurmCluster({ nodes: 2, preempt: true });
  const ended = t.mock.fn(second.stop);
  t.after(() => (ended.mock.callCount() === 0 ? second.stop() : undefined));
  const sleeper = ["sbatch", "--parsable", "-N2", "-o/dev/null", "--wrap", "srun --ntasks-per-node=1 sleep 600"];
  const job = (await second.exec(...sleeper)).trim();
  await second.untilJob(job, ["RUNNING"]);
  assert.equal(await first.exec("squeue", "-h"), "");
  const ofSecond = (): number => processesWith(`SLURM_CONF=${second.dir}/slurm.conf`).length;
  await until("the job's processes", () => ofSecond() > 0 || null);
  await ended();
  assert.equal(ofSecond(), 0);
  assert.equal(fs.existsSync(second.dir), false);
  assert.equal((await first.exec("srun", "-N1", "hostname")).trim(), "node1");
});

test("jobs of the urgent partition requeue those of main", { skip }, async (t) => {
  const cluster = await startSlurmCluster({ nodes: 2, preempt: true, grace: 2 });
  t.after(() => cluster.stop());
  const script = "#!/bin/bash\nexec sleep 600\n";
  fs.writeFileSync(`${cluster.dir}/job`, script);
  const submit = async (...args: string[]): Promise<string> =>
    (
      await cluster.exec("sbatch", "--parsable", "-N2", "--exclusive", "-o/dev/null", ...args, `${cluster.dir}/job`)
    ).trim();
  const job = await submit("--requeue");
  await cluster.untilJob(job, ["RUNNING"]);
  const urgent = await submit("-p", "urgent");
  await cluster.untilJob(urgent, ["RUNNING"]);
  assert.equal(await cluster.jobState(job), "PENDING");
});

test("a start that fails says why and leaves nothing", { skip }, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-no-start-"));
  const { TMPDIR } = process.env;
  process.env.TMPDIR = folder;
  t.after(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    fs.rmdirSync(folder);
  });
  await assert.rejects(startSlurmCluster({ extra: "Nonsense=1" }), /unrecognized key: Nonsense/);
  assert.deepEqual(fs.readdirSync(folder), []);
});
