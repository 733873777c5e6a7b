/** A submitted run whose job is over: it queues again, another one follows that is known while it waits, or one is submitted. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { processesWith } from "../../src/processes/index.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";
import { slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";
import { experimentFile, slurmUser } from "./slurm-user.ts";

const skip = slurmMissing() ?? false;

test("a run goes on when its job is over: as the same, as another one, or submitted again", { skip }, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-successor-"));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const cluster = await startSlurmCluster({ nodes: 2, gpus: 3 });
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
  // Its orchestrator is killed, and its lock is a minute too young for another host.
  const killed = async (): Promise<void> => {
    const submit = async (node: string): Promise<{ job: string; log: string }> => {
      const options = ["--gpus-per-node", "1", "--cpus-per-node", "2", "--sbatch", `nodelist=${node}`, "--json"];
      const long = ["--set", "trainer.parameters.epochs=1500"];
      const submitted = await user.distmis("submit", experimentFile(folder, "killed"), ...options, ...long);
      assert.equal(submitted.code, 0, submitted.stderr);
      return JSON.parse(submitted.stdout);
    };
    const first = await submit("node1");
    await until("epochs of killed", () => /epoch 2\//.test(user.read(first.log)), 180_000);
    const orchestrators = processesWith(`SLURM_JOB_ID=${first.job}`).filter(
      ({ pid, command }) =>
        command.includes(" run ") && fs.readFileSync(`/proc/${pid}/environ`, "latin1").includes(cluster.dir),
    );
    assert.equal(orchestrators.length, 1);
    for (const { pid } of orchestrators) process.kill(pid, "SIGKILL");
    await cluster.untilJob(first.job, ["FAILED", "CANCELLED"]);
    const second = await submit("node2");
    await until(
      "its wait",
      () => /is held by process \d+ on host node1: it is waited for/.test(user.read(second.log)),
      60_000,
    );
    await complete(second.job, second.log);
    assert.equal((await user.status("runs/killed")).run.counts.completed, 4);
    // As the user's next command there would: a killed process leaves its folder.
    const files = path.join(repositoryRoot, "dist/files/index.js");
    const program = `import { createPrivateDir } from ${JSON.stringify(files)}; await (await createPrivateDir()).remove()`;
    await cluster.node(1, process.execPath, "--input-type=module", "-e", program);
  };
  await Promise.all([same(), another(), killed()]);
});
