/** Searches that outlive a job's end: its time limit, preemption, an operator, lost nodes. They mostly wait, so all go on at once. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";
import { type SearchJobs, searchJobs, TWO_NODES } from "./search-job.ts";
import { type SlurmCluster, type SlurmClusterOptions, slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";

const skip = slurmMissing() ?? false;
const MINUTE = 60_000;

/** SLURM says so up to a minute earlier than asked. */
const LIMIT = ["--time=4", "--signal=B:USR1@60"];
/** Of 50 ms: longer than the limit, with two trials at once. */
const LONG = 4_900;

describe("a search goes on", { skip, concurrency: true }, () => {
  let folder = "";
  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-requeue-"));
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  async function withCluster(
    options: SlurmClusterOptions,
    work: (cluster: SlurmCluster, jobs: SearchJobs) => Promise<void>,
  ): Promise<void> {
    const own = fs.mkdtempSync(path.join(folder, "c"));
    const cluster = await startSlurmCluster(options);
    try {
      await work(cluster, await searchJobs(cluster, own, options.nodes ?? 2));
    } finally {
      await cluster.stop();
    }
  }

  const ended = (cluster: SlurmCluster, job: string, minutes: number): Promise<string> =>
    cluster.untilJob(job, ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL"], minutes * MINUTE);

  /**
   * Asserts that every epoch of every trial was told once, and every trial completed, once, whatever was killed meanwhile: the
   * task's checkpoint is whole and at least as new as its report, it goes on from the last report that the journal has, and what a
   * lost attempt says later has no way into the journal.
   */
  function isWhole(jobs: SearchJobs, name: string, trials: number, epochs: number): void {
    const records = jobs.journal(name);
    const ends = records.filter(({ type }) => type === "trial_ended");
    assert.deepEqual(
      ends.map(({ state }) => state),
      Array.from({ length: trials }, () => "completed"),
    );
    const reports = records.filter(({ type }) => type === "epoch").map(({ trial, epoch }) => `${trial} ${epoch}`);
    const known = new Set<string>();
    const again = reports.filter((report) => known.size === known.add(report).size);
    assert.deepEqual(again, []);
    assert.equal(known.size, trials * epochs);
  }

  test("behind its time limit: the job requeues itself before that", async () => {
    await withCluster({ nodes: 2, gpus: 1 }, async (cluster, jobs) => {
      const nodes = ["-N2", "--ntasks-per-node=1", "--cpus-per-task=4", "--gpus-per-node=1", "--requeue"];
      const job = await jobs.submit(jobs.experiment("limit", LONG, 2), [...nodes, ...LIMIT], ["--max-requeues", "9"]);
      let restarts = 0;
      const goesOn = async (): Promise<boolean> => {
        const state = await cluster.jobState(job);
        if (state !== "PENDING" || jobs.log(job).match(/is back in the queue/g)?.length !== restarts + 1) {
          return state === "COMPLETED" || state === "FAILED";
        }
        restarts++;
        await cluster.startNow(job);
        return false;
      };
      await until(() => `the end of job ${job}: ${jobs.log(job).slice(-2000)}`, goesOn, 14 * MINUTE);
      assert.match(jobs.log(job), /is back in the queue \(restart 1 of at most 9\)/);
      assert.equal(await ended(cluster, job, 5), "COMPLETED", jobs.log(job));
      await jobs.gone(job);
      isWhole(jobs, "limit", 2, LONG);
    });
  });

  test("as another job, where a job may not be requeued; and no more often than it may", async () => {
    await withCluster({ nodes: 2, requeue: false }, async (cluster, jobs) => {
      // After a minute at the earliest: before Node runs distmis, the signal is lost.
      const options = [...TWO_NODES, "--no-requeue", "--time=4", "--signal=B:USR1@120"];
      const job = await jobs.submit(jobs.experiment("follow", 100_000, 1), options, ["--max-requeues", "1"]);
      await jobs.said(job, new RegExp(`job \\d+ follows job ${job} \\(restart 1 of at most 1\\)`), 4 * MINUTE);
      const next = /job (\d+) follows/.exec(jobs.log(job))?.[1] ?? "";
      await jobs.said(next, /not put back into the queue: it was 1 times/, 4 * MINUTE);
      for (const each of [job, next]) assert.equal(await ended(cluster, each, 1), "FAILED");
      // 128 and the number of SIGUSR1: it was stopped by that.
      assert.match(await cluster.exec("scontrol", "show", "job", next), /ExitCode=138:0/);
    });
  });

  // SLURM ends the one by SIGTERM, the other ends itself at the warning: 128 and the number of the signal.
  for (const [name, limit, state, exitCode] of [
    ["unwarned", ["--time=2"], "TIMEOUT", "143:0"],
    ["warned", ["--time=3", "--signal=B:USR1@60"], "FAILED", "138:0"],
  ] as const)
    test(`when its job is submitted again, whose time was over (${name})`, async () => {
      await withCluster({ nodes: 2, gpus: 1 }, async (cluster, jobs) => {
        const nodes = ["-N2", "--ntasks-per-node=1", "--cpus-per-task=4", "--gpus-per-node=1", "--no-requeue"];
        // Two trials at once, which three minutes are too short for.
        const epochs = 3_800;
        const experiment = jobs.experiment(name, epochs, 2);
        const job = await jobs.submit(experiment, [...nodes, ...limit]);
        assert.equal(await ended(cluster, job, 5), state, jobs.log(job));
        await jobs.gone(job, 10_000);
        assert.match(await cluster.exec("scontrol", "show", "job", job), new RegExp(`ExitCode=${exitCode}`));
        assert.match(jobs.log(job), /epoch \d+\/.*stopped; the same command continues it/s);
        assert.doesNotMatch(jobs.log(job), /back in the queue|follows job/);

        const next = await jobs.submit(experiment, [...nodes, "--time=20"]);
        assert.equal(await ended(cluster, next, 8), "COMPLETED", jobs.log(next));
        await jobs.gone(next);
        isWhole(jobs, name, 2, epochs);
      });
    });

  test("behind a more urgent job", async () => {
    await withCluster({ nodes: 2, preempt: true, grace: 20 }, async (cluster, jobs) => {
      const job = await jobs.submit(
        jobs.experiment("preempted", 600, 4),
        [...TWO_NODES, "--requeue", "--exclusive"],
        ["--max-requeues", "3"],
      );
      await jobs.said(job, /epoch 3\//);
      const script = path.join(jobs.folder, "urgent.sbatch");
      fs.writeFileSync(script, "#!/bin/bash\nhostname\n");
      const output = `--output=${jobs.folder}/urgent.log`;
      const words = ["--parsable", "-p", "urgent", "-N2", "--exclusive", output, script];
      const urgent = (await cluster.exec("sbatch", ...words)).trim();
      assert.equal(await ended(cluster, urgent, 3), "COMPLETED");
      assert.match(jobs.log(job), new RegExp(`job ${job} is back in the queue \\(restart 1 of at most 3\\)`));
      await cluster.startNow(job);
      assert.equal(await ended(cluster, job, 4), "COMPLETED", jobs.log(job));
      isWhole(jobs, "preempted", 4, 600);

      // Once more, before all of its nodes have come.
      const early = await jobs.submit(
        jobs.experiment("early", 20, 4),
        [...TWO_NODES, "--requeue", "--exclusive"],
        ["--max-requeues", "3"],
      );
      const stopAgent = (): Promise<boolean> =>
        cluster.node(2, "pkill", "-STOP", "-f", "[a]gent-main").then(
          () => true,
          () => false,
        );
      await until("the agent of node2", stopAgent, MINUTE);
      const again = (await cluster.exec("sbatch", ...words)).trim();
      assert.equal(await ended(cluster, again, 3), "COMPLETED");
      await jobs.said(early, new RegExp(`job ${early} is back in the queue \\(restart 1 of at most 3\\)`));
      assert.doesNotMatch(jobs.log(early), /trial \d+ started/);
      await cluster.startNow(early);
      assert.equal(await ended(cluster, early, 4), "COMPLETED", jobs.log(early));
      isWhole(jobs, "early", 4, 20);
    });
  });

  test("when its first node, where it runs, is lost", async () => {
    await withCluster({ nodes: 3 }, async (cluster, jobs) => {
      const nodes = [...TWO_NODES, "--requeue", "--no-kill"];
      const job = await jobs.submit(jobs.experiment("beheaded", 900, 4), nodes, ["--max-requeues", "1"]);
      await jobs.said(job, /epoch 3\//);
      await cluster.down(1);
      await cluster.node(1, "bash", "-c", "kill -KILL -1").catch(() => {});
      // The agent of node2 hears nothing for half a minute, and SLURM takes node1 for lost after another one.
      await cluster.untilJob(job, ["PENDING"], 3 * MINUTE);
      // What the daemons of its steps had there, that were killed.
      const spool = path.join(cluster.dir, "spool.node1");
      for (const name of fs.readdirSync(spool).filter((each) => each.includes(`_${job}.`)))
        fs.rmSync(path.join(spool, name));
      await cluster.startNow(job);
      assert.equal(await ended(cluster, job, 5), "COMPLETED", jobs.log(job));
      assert.match(await cluster.exec("scontrol", "show", "job", job), /Restarts=1 .*NodeList=node\[2-3\]/s);
      isWhole(jobs, "beheaded", 4, 900);
      // As the user's next command there would: a killed process leaves its folder.
      const files = path.join(repositoryRoot, "dist/files/index.js");
      const program = `import { createPrivateDir } from ${JSON.stringify(files)}; await (await createPrivateDir()).remove()`;
      await cluster.node(1, process.execPath, "--input-type=module", "-e", program);
      await jobs.gone(job);
    });
  });

  test("when an operator requeues its job, and without a node that leaves the network", async () => {
    await withCluster({ nodes: 2 }, async (cluster, jobs) => {
      const job = await jobs.submit(jobs.experiment("lost", 900, 4), [...TWO_NODES, "--requeue", "--no-kill"]);
      await jobs.said(job, /epoch 3\//);
      await cluster.exec("scontrol", "requeue", job);
      await cluster.startNow(job);
      const starts = (): string[] => jobs.log(job).match(/trial \d+ (attempt \d+ )?started on node2/g) ?? [];
      const before = starts().length;
      const said = (): string => `trials on node2 again: ${jobs.log(job).slice(-3000)}`;
      await until(said, () => starts().length > before, 2 * MINUTE);
      await cluster.down(2);
      // Else they would go on to write into the folders of trials that run elsewhere by then.
      const trainers = (): Promise<string> => cluster.node(2, "bash", "-c", "pgrep -f '[t]rainer/main' || true");
      await until("the end of the trainers of node2", async () => (await trainers()) === "", 15_000);
      await jobs.said(job, /node left \(node2\)/, 2 * MINUTE);
      assert.equal(await ended(cluster, job, 5), "COMPLETED", jobs.log(job));
      await cluster.up(2);
      await jobs.gone(job, MINUTE);
      isWhole(jobs, "lost", 4, 900);
    });
  });
});
