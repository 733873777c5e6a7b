/** `distmis submit`, and `status`, `logs` and `cancel` by run folder, on a real SLURM. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it, test } from "node:test";
import { distmisCommand } from "../support/command.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";
import { type SlurmCluster, slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";
import { experimentFile, ranIn, type SlurmUser, slurmUser } from "./slurm-user.ts";

const skip = slurmMissing() ?? false;

let folder = "";
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-submit-"));
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const NODES = ["--nodes", "2", "--gpus-per-node", "2", "--cpus-per-node", "4"];

test("submit refuses before anything waits in a queue, and --print touches nothing", async () => {
  const file = experimentFile(folder, "bowl");
  const before = fs.readdirSync(folder);
  const refusals: [string[], RegExp][] = [
    [["submit", file], /^distmis: --gpus-per-node: expected the GPUs of each node/],
    [["submit", file, ...NODES, "--time", "1h"], /^distmis: --time: expected a time as sbatch takes it/],
    [
      ["submit", file, ...NODES, "--node-deadline", "0"],
      /^distmis: --node-deadline: expected a whole number of at least 1/,
    ],
    [["submit", file, ...NODES, "--nodes", "x"], /^distmis: --nodes: /],
    [
      ["submit", file, ...NODES, "--profile", "mn4"],
      /^distmis: --profile mn4: expected one of generic, marenostrum5-acc/,
    ],
    [["submit", "none.yaml", ...NODES], /^distmis: none\.yaml: there is no such file/],
    [["submit", file, ...NODES, "--set", "train.epoch=3"], /did you mean train\.epochs\?/],
    [
      ["submit", file, ...NODES, "--set", "trainer.module=gone.mjs"],
      /^distmis: trainer\.module: .*gone\.mjs can't be read/,
    ],
    [
      ["submit", file, ...NODES, "--set", "resources.replicas=5"],
      /^distmis: a trial needs 5 x 1 GPUs, and the job has 2 x 2/,
    ],
    [["submit", file, ...NODES, "--extend"], /^distmis: .*runs\/bowl: holds no run that --extend could continue/],
    [["status", "runs/bowl"], /^distmis: .*runs\/bowl: there is no such run folder/],
    [["status", "runs/bowl", "--server", "local"], /^distmis: expected the folder of a run or --server, found both/],
    [["logs", "runs/bowl", "3", "--job"], /^distmis: expected --job or a trial, found both/],
    [["logs", "runs/bowl", "--job"], /^distmis: runs\/bowl: no job was submitted for it/],
  ];
  for (const [args, said] of refusals) {
    const { code, stderr } = await ranIn(folder, distmisCommand(args));
    assert.match(stderr, said);
    assert.equal(code, 2, stderr);
  }
  const printed = await ranIn(
    folder,
    distmisCommand(["submit", file, "--profile", "generic", "--print", "--nodes", "3"]),
  );
  assert.match(printed.stdout, /^#!\/bin\/bash\n.*\n#SBATCH --nodes=3\n.*\nexec /s);
  assert.deepEqual([printed.code, printed.stderr], [0, ""]);
  // Its task reads no data, and the cluster's profile asks for copies of them.
  const profile = path.join(folder, "..", `${path.basename(folder)}.yaml`);
  fs.writeFileSync(profile, "gpus_per_node: 2\ncpus_per_node: 4\nstage_to_local: /scratch\nnode_deadline: 900\n");
  const unstaged = await ranIn(folder, distmisCommand(["submit", file, "--profile", profile, "--print"]));
  fs.rmSync(profile);
  assert.equal(
    unstaged.stderr,
    "nothing is copied to the nodes (--stage-to-local): the experiment names no data.dir\n",
  );
  assert.match(unstaged.stdout, / --node-deadline 900 --max-requeues 10\n$/);
  assert.deepEqual(fs.readdirSync(folder), before);
});

describe("a run as a job", { skip }, () => {
  let cluster: SlurmCluster;
  let user: SlurmUser;
  before(async () => {
    cluster = await startSlurmCluster({ nodes: 2, gpus: 2 });
    user = slurmUser(cluster, folder);
  });
  after(() => cluster?.stop());

  it("waits, is cancelled, is submitted again, and ends", async () => {
    // All that may stand in a name and mean something to a shell.
    const runDir = path.join(folder, "runs of $(touch x)", 'it\'s 100 % "mine"; #1');
    const file = experimentFile(folder, "$(touch y) bowl");
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/^name: .*$/m, "name: bowl"));
    const blocker = await cluster.exec(
      "sbatch",
      "--parsable",
      "-N2",
      "--exclusive",
      "-o/dev/null",
      "--wrap",
      "sleep 600",
    );

    const submitted = await user.distmis("submit", file, ...NODES, "--time", "10:00", "--run-dir", runDir);
    assert.equal(submitted.code, 0, submitted.stderr);
    const job = /^job (\d+)$/m.exec(submitted.stdout)?.[1] ?? "";
    assert.ok(submitted.stdout.includes(`run folder: ${runDir}\nlog: ${runDir}/slurm/${job}.log\n`));
    assert.match(
      await cluster.exec("squeue", "-h", "-o", "%i %j %D %l %b"),
      new RegExp(`^${job} distmis-bowl 2 10:00 .*gpu:2`, "m"),
    );
    const waits = await user.distmis("status", runDir);
    assert.match(
      waits.stdout,
      new RegExp(`the run has not begun\njob ${job}: PENDING, 2 nodes asked for, reason \\w+`),
    );

    const again = await user.distmis("submit", file, ...NODES, "--run-dir", runDir);
    assert.match(again.stderr, new RegExp(`job ${job} of this run is PENDING; wait for its end, end it with`));
    assert.equal(again.code, 2);

    assert.match((await user.distmis("cancel", runDir)).stdout, new RegExp(`^job ${job} is being ended`));
    await cluster.untilJob(job, ["CANCELLED"]);
    assert.equal((await user.status(runDir)).jobState.state, "CANCELLED");
    const none = await user.distmis("cancel", runDir);
    assert.match(none.stderr, new RegExp(`nothing to cancel: job ${job}, its last, has ended`));
    assert.match(
      (await user.distmis("logs", runDir, "--job")).stderr,
      new RegExp(`job ${job} has no log yet: it is CANCELLED`),
    );

    const second = JSON.parse((await user.distmis("submit", file, ...NODES, "--run-dir", runDir, "--json")).stdout);
    await cluster.exec("scancel", blocker.trim());
    // From before its start to its end.
    const log = await user.distmis("logs", runDir, "--job", "--follow");
    assert.match(log.stdout, /4 trials x 1 replica, 4 at once.*run finished after/s);
    assert.equal(await cluster.untilJob(second.job, ["COMPLETED", "FAILED"]), "COMPLETED");
    assert.equal(log.stdout, fs.readFileSync(second.log, "utf8"));
    const { run: about, jobState, jobs } = await user.status(runDir);
    assert.deepEqual(
      [about.state, about.counts.completed, about.best.parameters],
      ["finished", 4, { "trainer.parameters.x": 0.3 }],
    );
    assert.deepEqual([jobState.state, jobState.exitCode, jobState.nodes, jobs], ["COMPLETED", 0, 2, 2]);

    const over = await user.distmis("submit", file, ...NODES, "--run-dir", runDir);
    assert.match(over.stderr, /this run has finished, a job would have nothing to do; go on with --extend/);
    assert.deepEqual(
      fs.readdirSync(folder).filter((name) => name.length === 1),
      [],
    );
  });

  it("says what sbatch says, and leaves the run to be submitted again", async () => {
    const file = experimentFile(folder, "unlucky");
    const wrong = await user.distmis("submit", file, ...NODES, "--partition", "none");
    assert.match(wrong.stderr, /^distmis: sbatch: .*invalid partition specified: none/);
    assert.equal(wrong.code, 1);
    const right = await user.distmis("submit", file, ...NODES, "--sbatch", "begin=now+1hour", "--json");
    const { job } = JSON.parse(right.stdout);
    assert.equal((await user.status("runs/unlucky")).jobState.reason, "BeginTime");
    assert.match((await user.distmis("cancel", "runs/unlucky")).stdout, new RegExp(`^job ${job} is being ended`));
  });

  it("is told of, too, when it was a copy of the script by hand, and so is the job that follows", async () => {
    const file = experimentFile(folder, "hand");
    const script = path.join(folder, "my own.sbatch");
    fs.copyFileSync(path.join(repositoryRoot, "slurm/distmis.sbatch"), script);
    const own = ["--nodes=2", "--gpus-per-node=2", "--time=10", `--output=${folder}/hand-%j.log`, "--no-requeue"];
    // What follows is submitted by the lines of the script alone.
    const lines = own.map((option) => `#SBATCH ${option}\n`).join("");
    const text = fs
      .readFileSync(script, "utf8")
      .replace(/^#SBATCH --(nodes|gpus-per-node|time|output|requeue).*\n/gm, "");
    fs.writeFileSync(script, text.replace("#SBATCH", `${lines}#SBATCH`));
    const words = [script, file, "--run-dir", path.join(folder, "runs/hand"), "--set", "trainer.parameters.epochs=500"];
    const job = (await cluster.exec("env", `DISTMIS_HOME=${repositoryRoot}`, "sbatch", "--parsable", ...words)).trim();
    const log = (id: string): string => user.read(path.join(folder, `hand-${id}.log`));
    await until(
      () => `epochs; it said ${log(job)}`,
      () => /epoch 2\//.test(log(job)),
      120_000,
    );
    const { job: first } = await user.status("runs/hand");
    assert.deepEqual([first.job, first.by, first.script], [job, "hand", script]);
    await cluster.exec("scancel", "--batch", "--signal=USR1", job);
    const follows = (): string | undefined => /job (\d+) follows job/.exec(log(job))?.[1];
    const next = await until(() => `its successor; it said ${log(job)}`, follows, 60_000);
    assert.equal(await cluster.untilJob(next, ["COMPLETED", "FAILED"], 180_000), "COMPLETED", log(next));
    const { run: about, jobState, job: known } = await user.status("runs/hand");
    assert.deepEqual(
      [about.counts.completed, jobState.state, known.job, known.by, known.script],
      [4, "COMPLETED", next, "successor", script],
    );
    assert.match((await user.distmis("logs", "runs/hand", "--job")).stdout, /run finished after/);
  });
});
