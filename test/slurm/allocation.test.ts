/** `run --ray-address slurm` on a real SLURM: from the start of a job to its end, whichever it is. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { distmisCommand } from "../support/command.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";
import { type SearchJobs, searchJobs, TWO_NODES } from "./search-job.ts";
import { type SlurmCluster, slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";

const skip = slurmMissing() ?? false;

describe("a search on the nodes of a job", { skip }, () => {
  let folder = "";
  let cluster: SlurmCluster;
  let jobs: SearchJobs;

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-allocation-"));
    cluster = await startSlurmCluster({ nodes: 3, hetero: true });
    jobs = await searchJobs(cluster, folder, 3);
  });
  after(async () => {
    await cluster?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test("uses what the job has of each node, beside another job, and leaves nothing", async () => {
    const [first, second] = [jobs.experiment("first", 20, 8), jobs.experiment("second", 20, 4)];
    // node3 has half of everything.
    const whole = await jobs.submit(first, ["-N3", "--ntasks-per-node=1", "--cpus-per-task=2", "--gres=gpu:1"]);
    const beside = await jobs.submit(second, ["-N2", "--ntasks-per-node=1", "--cpus-per-task=2", "--gres=gpu:1"]);
    for (const job of [whole, beside]) {
      assert.equal(await cluster.untilJob(job, ["COMPLETED", "FAILED"], 180_000), "COMPLETED", jobs.log(job));
      await jobs.gone(job);
    }
    assert.match(jobs.log(whole), /8 trials x 1 replica, 3 at once, each replica with 1 GPU/);
    assert.match(jobs.log(beside), /4 trials x 1 replica, 2 at once/);
    const placed = /trial \d+ started on (node\d) GPU (\d)/g;
    const nodes = new Set([...jobs.log(whole).matchAll(placed)].map(([, node]) => node));
    assert.deepEqual([...nodes].sort(), ["node1", "node2", "node3"]);
    for (const name of ["first", "second"]) {
      const ends = jobs.journal(name).filter(({ type }) => type === "trial_ended");
      assert.ok(ends.every(({ state }) => state === "completed"));
    }
  });

  test("uses all GPUs of the job, however they were asked for, and whatever it exports", async () => {
    const ways = [
      ["--gpus=4", "--gpu-bind=single:1"],
      ["--gpus-per-task=2", "--ntasks=2"],
    ];
    for (const [index, way] of ways.entries()) {
      const options = ["-N2", "--ntasks-per-node=1", "--cpus-per-task=4", "--nodelist=node1,node2", ...way];
      // As a job of `--export=NONE` has it, for which SLURM would ask a login shell for its variables, a minute long here.
      const job = await jobs.submit(jobs.experiment(`asked-${index}`, 5, 4), options, [], ["SLURM_EXPORT_ENV=NONE"]);
      assert.equal(await cluster.untilJob(job, ["COMPLETED", "FAILED"], 120_000), "COMPLETED", jobs.log(job));
      assert.match(jobs.log(job), /4 trials x 1 replica, 4 at once/);
      assert.doesNotMatch(jobs.log(job), /its step was given/);
      await jobs.gone(job);
    }
  });

  test("is ended by a cancel that comes after the warning of its time limit", async () => {
    const job = await jobs.submit(
      jobs.experiment("warned", 2000, 4),
      [...TWO_NODES, "--requeue"],
      ["--max-requeues", "3"],
    );
    await jobs.said(job, /epoch 3\//);
    // It hears of both at once, in this order, when SLURM lets it go on.
    await cluster.node(1, "pkill", "-STOP", "-f", "[r]un .*warned.yaml");
    await cluster.exec("scancel", "--batch", "--signal=USR1", job);
    await cluster.exec("scancel", job);
    await jobs.said(job, /was cancelled: it is not put back into the queue/, 20_000).catch((error: Error) => {
      if (!error.message.includes("is CANCELLED without")) throw error;
    });
    assert.equal(await cluster.untilJob(job, ["CANCELLED", "PENDING"]), "CANCELLED");
    await jobs.gone(job);
    assert.match(jobs.log(job), /the time limit is near, stopping/);
    assert.match(jobs.log(job), /was cancelled: it is not put back into the queue/);
  });

  test("begins without a node that does not come, if it may, and names it", async () => {
    // Ray is not there on node2, as if its disk had not been mounted.
    const empty = path.join(folder, "empty");
    fs.mkdirSync(empty);
    const venv = path.join(repositoryRoot, ".venv");
    await cluster.node(2, "mount", "--bind", empty, fs.realpathSync(venv));
    const options = ["--node-deadline", "25"];
    const refused = await jobs.submit(jobs.experiment("refused", 5, 4), TWO_NODES, options);
    await cluster.untilJob(refused, ["COMPLETED", "FAILED"], 120_000);
    assert.match(
      jobs.log(refused),
      /^distmis: job \d+: 1 of 2 nodes came within 25 s, needed 2 \(--min-nodes, --node-deadline\); missing: node2 \(.*python is missing: run `distmis setup`\)$/m,
    );
    assert.match(await cluster.exec("scontrol", "show", "job", refused), /ExitCode=1:0/);
    await jobs.gone(refused);

    const doctor = distmisCommand(["doctor", "--cluster", "--ray-address", "slurm", "--node-deadline", "15", "--json"]);
    const looked = await cluster
      .exec("salloc", ...TWO_NODES, "--nodelist=node1,node2", ...doctor)
      .catch((error: { code: number; stdout: string }) => error);
    if (typeof looked === "string") assert.fail("expected the exit code of something that needs doing");
    const found = JSON.parse(looked.stdout);
    assert.deepEqual([looked.code, found.nodes], [1, ["node1"]]);
    assert.deepEqual(found.silent, [{ node: "node2", problem: "it has not joined the cluster" }]);

    const begun = await jobs.submit(jobs.experiment("begun", 400, 6), TWO_NODES, [...options, "--min-nodes", "1"]);
    await jobs.said(begun, /1 of 2 nodes came within 25 s, and are enough; missing: node2/);
    await jobs.said(begun, /trial \d+ started on node1/);
    // It comes after all.
    await cluster.node(2, "umount", fs.realpathSync(venv));
    await jobs.said(begun, /node2 has joined/);
    await jobs.said(begun, /trial \d+ started on node2/);
    assert.equal(await cluster.untilJob(begun, ["COMPLETED", "FAILED"], 180_000), "COMPLETED", jobs.log(begun));
    await jobs.gone(begun);
  });

  test("names what a node that hangs has said", async () => {
    const job = await jobs.submit(jobs.experiment("hangs", 5, 4), TWO_NODES, ["--node-deadline", "15"]);
    const stopStart = (): Promise<boolean> =>
      cluster.node(2, "pkill", "-STOP", "-f", "[r]ay_command.py").then(
        () => true,
        () => false,
      );
    await until("Ray's start on node2", stopStart, 60_000);
    await cluster.untilJob(job, ["COMPLETED", "FAILED"], 60_000);
    assert.match(
      jobs.log(job),
      /1 of 2 nodes came within 15 s, .*missing: node2 \(Ray on node2 is not ready after \d+ s/,
    );
    await jobs.gone(job);
  });

  test("goes on when a node's processes die, and uses it again", async () => {
    const job = await jobs.submit(jobs.experiment("killed", 300, 6), TWO_NODES);
    await jobs.said(job, /trial \d+ started on node2/);
    await cluster.node(2, "pkill", "-KILL", "raylet");
    await jobs.said(job, /Ray on node2 is gone/);
    await jobs.said(job, /node2 has joined/);
    // Now all of its step, the agent first.
    await cluster.node(2, "bash", "-c", "pkill -KILL -f agent-main");
    await jobs.said(job, /node2: srun ended/);
    assert.equal(await cluster.untilJob(job, ["COMPLETED", "FAILED"], 240_000), "COMPLETED", jobs.log(job));
    await jobs.gone(job);
    const ends = jobs.journal("killed").filter(({ type }) => type === "trial_ended");
    assert.deepEqual(ends.map(({ trial }) => trial).sort(), ["0001", "0002", "0003", "0004", "0005", "0006"]);
    assert.ok(ends.every(({ state }) => state === "completed"));
  });

  test("leaves nothing, whenever it is cancelled", async () => {
    const phases: [string, (job: string) => Promise<unknown>][] = [
      ["at once", async () => {}],
      ["when the first process runs", (job) => until("a process", () => jobs.left(job).length > 0, 30_000)],
      ["while Ray's head starts", (job) => until("a head", () => jobs.left(job).some(isPart("gcs_server")), 60_000)],
      ["while nodes join", (job) => until("raylets", () => jobs.left(job).some(isPart("raylet/raylet")), 60_000)],
      ["while trials start", (job) => jobs.said(job, /\d at once/)],
      ["while the first trials run, others start", (job) => jobs.said(job, /epoch 1\//)],
      ["while trials run", (job) => jobs.said(job, /epoch 3\//)],
    ];
    for (const [index, [what, phase]] of phases.entries()) {
      const job = await jobs.submit(jobs.experiment(`cancelled-${index}`, 2000, 4), TWO_NODES);
      await cluster.untilJob(job, ["RUNNING"]);
      await phase(job);
      await cluster.exec("scancel", job);
      const seconds = await jobs.gone(job);
      assert.equal(await cluster.untilJob(job, ["CANCELLED"]), "CANCELLED", what);
      console.log(`cancelled ${what}: nothing left after ${seconds.toFixed(1)} s`);
    }
  });

  test("runs on the first node of what salloc gives, wherever it is started", async () => {
    const experiment = jobs.experiment("interactive", 5, 2);
    const command = distmisCommand(["run", experiment, "--run-dir", "runs/interactive", "--ray-address", "slurm"]);
    const printed = await cluster.exec(
      "bash",
      "-c",
      `cd ${folder} && exec salloc ${TWO_NODES.join(" ")} "$@" 2>&1`,
      "-",
      ...command,
    );
    assert.match(printed, /2 trials x 1 replica, 2 at once/);
    assert.match(printed, /run finished after/);
    await assert.rejects(
      cluster.exec(
        "bash",
        "-c",
        `cd ${folder} && exec salloc -N2 "$@" 2>&1`,
        "-",
        ...command,
        "--min-nodes",
        "3",
        "--fresh",
      ),
      { code: 2 },
    );
  });
});

function isPart(text: string): (line: string) => boolean {
  return (line) => line.includes(text);
}
