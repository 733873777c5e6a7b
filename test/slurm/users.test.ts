/** Searches of two UNIX users on the same hosts at the same time: neither sees, disturbs or ends anything of the other's. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";
import { type SearchJobs, searchJobs } from "./search-job.ts";
import { type SlurmCluster, slurmMissing, startSlurmCluster } from "./slurm-cluster.ts";

const skip = slurmMissing() ?? false;
const USERS = ["anna", "bert"] as const;
/** Half of each of two hosts. */
const HALF = ["-N2", "--ntasks-per-node=1", "--cpus-per-task=4", "--gres=gpu:1"];

test("jobs of two users share their hosts, and do not meet", { skip }, async (t) => {
  const cluster = await startSlurmCluster({ nodes: 2, users: USERS });
  t.after(() => cluster.stop());
  const ids = await Promise.all(USERS.map(async (user) => Number(await cluster.as(user, "id", "-u"))));
  const [annasId = 0, bertsId = 0] = ids;
  for (const user of USERS) {
    const closed = await cannotRun(cluster, user);
    if (closed !== null) return t.skip(`${user} can't run this installation: ${closed}`);
  }
  const [anna, bert] = (await Promise.all(USERS.map((user) => searchJobs(cluster, cluster.home(user), 2, user)))) as [
    SearchJobs,
    SearchJobs,
  ];

  const annas = await anna.submit(anna.experiment("search", 500, 2), HALF);
  const berts = await bert.submit(bert.experiment("search", 1500, 2), HALF);
  for (const [jobs, job] of [
    [anna, annas],
    [bert, berts],
  ] as const)
    await jobs.said(job, /epoch 5\//);

  assert.deepEqual(owners(anna.left(annas)), [annasId]);
  assert.deepEqual(owners(bert.left(berts)), [bertsId]);
  // On the login node all hosts' processes can be seen.
  assert.ok((await foundAs(cluster, "anna", annas)) > 0);
  assert.equal(await foundAs(cluster, "anna", berts), 0);

  const folders = foldersOf(ids);
  assert.deepEqual(owners(folders), ids);
  for (const folder of folders) {
    assert.equal(fs.statSync(folder).mode & 0o777, 0o700, folder);
    const other = fs.statSync(folder).uid === annasId ? "bert" : "anna";
    await assert.rejects(cluster.as(other, "ls", folder), /Permission denied/);
  }
  for (const host of [1, 2]) {
    const ports = await listening(cluster, host);
    for (const id of ids)
      assert.ok(
        [...ports.values()].some((uids) => uids.has(id)),
        `no port of ${id} on node${host}`,
      );
    for (const [port, uids] of ports) assert.equal(uids.size, 1, `port ${port} of node${host}: users ${[...uids]}`);
  }

  // The end of one, in peace or not, is none of the other's.
  assert.equal(await cluster.untilJob(annas, ["COMPLETED", "FAILED"], 120_000), "COMPLETED", anna.log(annas));
  await until("the end of anna's job", () => anna.left(annas).length + foldersOf([annasId]).length === 0, 30_000);
  const cancelled = await anna.submit(anna.experiment("cancelled", 2000, 2), HALF);
  await anna.said(cancelled, /epoch 3\//);
  await cluster.as("anna", "scancel", cancelled);
  await until("the end of another", () => anna.left(cancelled).length + foldersOf([annasId]).length === 0, 30_000);
  assert.equal(await cluster.jobState(berts), "RUNNING", bert.log(berts));

  assert.equal(await cluster.untilJob(berts, ["COMPLETED", "FAILED"], 180_000), "COMPLETED", bert.log(berts));
  for (const jobs of [anna, bert]) {
    const records = jobs.journal("search");
    const types = (type: string): number => records.filter((record) => record.type === type).length;
    // No trial was started a second time.
    assert.deepEqual([types("attempt_started"), types("trial_ended")], [2, 2]);
    assert.ok(records.filter(({ type }) => type === "trial_ended").every(({ state }) => state === "completed"));
  }
  await until("the end of bert's job", () => bert.left(berts).length === 0, 30_000);
  const ends = performance.now() + 10_000;
  let left = await leftBy(cluster, ids);
  while (left !== "" && performance.now() < ends) left = await leftBy(cluster, ids);
  assert.equal(left, "");
});

/** What there is of these users in /tmp, and of anybody in the folders that each host has of its own. */
async function leftBy(cluster: SlurmCluster, ids: readonly number[]): Promise<string> {
  const onHosts = [1, 2].map((host) => cluster.node(host, "find", "/dev/shm", "/tmp/ray", "-mindepth", "1"));
  return [...inTmpOf(ids), ...(await Promise.all(onHosts))].join("");
}

/** What it says if the user may not run distmis, Ray or Node here; null if he may. */
async function cannotRun(cluster: SlurmCluster, user: string): Promise<string | null> {
  const commands = [
    [process.execPath, path.join(repositoryRoot, "bin/distmis"), "--version"],
    [path.join(repositoryRoot, ".venv/bin/python"), "-c", "import ray"],
  ];
  try {
    for (const command of commands) await cluster.as(user, ...command);
    return null;
  } catch (error) {
    return String((error as { stderr?: string }).stderr || error).trim();
  }
}

/** How many processes of a job distmis itself would find, if the user asked. */
async function foundAs(cluster: SlurmCluster, user: string, job: string): Promise<number> {
  const module = path.join(repositoryRoot, "dist/processes/index.js");
  const program = `import { processesWith } from ${JSON.stringify(module)};
    console.log(processesWith("SLURM_JOB_ID=${job}").length)`;
  return Number(await cluster.as(user, process.execPath, "--input-type=module", "-e", program));
}

/** Users of processes ("pid command line") or folders, each once, in order. */
function owners(all: readonly string[]): number[] {
  const uids = all.map((each) => {
    const file = path.isAbsolute(each) ? each : `/proc/${each.split(" ")[0]}`;
    return fs.statSync(file, { throwIfNoEntry: false })?.uid;
  });
  return [...new Set(uids)].filter((uid) => uid !== undefined).sort();
}

/** What lies in /tmp of these users, whom no other cluster has. */
function inTmpOf(ids: readonly number[]): string[] {
  const files = fs.readdirSync("/tmp").map((name) => path.join("/tmp", name));
  return files.filter((file) => ids.includes(fs.lstatSync(file, { throwIfNoEntry: false })?.uid ?? -1));
}

/** Private folders of distmis of theirs. */
function foldersOf(ids: readonly number[]): string[] {
  return inTmpOf(ids).filter((file) => path.basename(file).startsWith("distmis-"));
}

/** Ports on which processes of a host listen, and whose they are. */
async function listening(cluster: SlurmCluster, host: number): Promise<Map<number, Set<number>>> {
  const ports = new Map<number, Set<number>>();
  for (const line of (await cluster.node(host, "ss", "-Hltne")).split("\n")) {
    // `LISTEN 0 128 10.77.0.1:20034 0.0.0.0:* uid:70001 ino:...`; nothing is said of root's.
    const [, port, uid = "0"] = /^\S+ +\d+ +\d+ +\S+:(\d+) .*?(?:uid:(\d+) |$)/.exec(line) ?? [];
    if (port === undefined) continue;
    const uids = ports.get(Number(port)) ?? new Set();
    ports.set(Number(port), uids.add(Number(uid)));
  }
  return ports;
}
