/** A submitted run whose time is over: its job queues again, or another one follows that is known while it waits. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { until } from "../support/until.ts";
import { slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";
import { experimentFile, slurmUser } from "./slurm-user.ts";

const skip = slurmMissing() ?? false;

test("a run goes on when its time is over: as the same job, or as another one", { skip }, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-successor-"));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const cluster = await startSlurmCluster({ nodes: 2, gpus: 2 });
  t.after(() => cluster.stop());
  const user = slurmUser(cluster, folder);
  const begin = async (name: string, ...options: string[]): Promise<{ job: string; log: string }> => {
    const nodes = ["--nodes", "2", "--gpus-per-node", "1", "--cpus-per-node", "2"];
    const long = ["--set", "trainer.parameters.epochs=1500"];
    const submitted = await user.distmis(
      "submit",
      experimentFile(folder, name),
      ...nodes,
      ...long,
      ...options,
      "--json",
    );
    const { job, log } = JSON.parse(submitted.stdout);
    await until(`epochs of ${name}`, () => /epoch 2\//.test(user.read(log)), 180_000);
    // As SLURM does before the limit.
    await cluster.exec("scancel", "--batch", "--signal=USR1", job);
    return { job, log };
  };
  const complete = async (job: string, log: string): Promise<void> => {
    const state = await cluster.untilJob(job, ["COMPLETED", "FAILED"], 480_000);
    assert.equal(state, "COMPLETED", `${user.read(log)}\n${await cluster.exec("scontrol", "show", "job", job)}`);
  };
  const same = async (): Promise<void> => {
    const { job, log } = await begin("same");
    await until("its requeue", () => user.read(log).includes(`job ${job} is back in the queue`), 60_000);
    await cluster.startNow(job);
    await complete(job, log);
    assert.match(
      (await user.distmis("status", "runs/same")).stdout,
      /4 completed.*\n.*\njob \d+: COMPLETED .*, started again once$/m,
    );
  };
  const another = async (): Promise<void> => {
    const { job, log } = await begin("another", "--sbatch", "no-requeue");
    const next = await until("its successor", () => /job (\d+) follows job/.exec(user.read(log))?.[1], 60_000);
    await until("its record", async () => (await user.status("runs/another")).jobs === 2, 20_000);
    const its = path.join(path.dirname(log), `${next}.log`);
    const { job: last } = await user.status("runs/another");
    assert.deepEqual([last.job, last.by, last.log], [next, "successor", its]);
    await complete(next, its);
    assert.notEqual(job, next);
    assert.equal((await user.status("runs/another")).run.counts.completed, 4);
  };
  await Promise.all([same(), another()]);
});
