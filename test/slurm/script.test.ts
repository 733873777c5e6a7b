/** The batch script as text, and what bash makes of it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";
import { packageRoot, packageVersion } from "../../src/paths/index.ts";
import {
  checkCapacity,
  type JobPlan,
  jobSettings,
  profileSchema,
  readProfile,
  scriptOf,
} from "../../src/slurm/index.ts";

let folder = "";
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-script-"));
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const experiment = defineExperiment({ name: "hippo", trainer: { module: "/task.mjs" } });
const PLAIN = { gpus_per_node: 4, cpus_per_node: 80 };

function plan(given: Record<string, unknown>, more: Partial<JobPlan> = {}): JobPlan {
  const settings = jobSettings({}, { ...PLAIN, ...given });
  const where = { experimentFile: "/data/hippo.yaml", runDir: "/runs/hippo" };
  return { experiment, settings, ...where, runOptions: [], onceOptions: [], ...more };
}

/** The script with its last program replaced by one that tells its arguments. */
function argumentsIn(script: string, environment: Record<string, string> = {}): string[] {
  const tells = script.replace(/^exec \S+ \S+ /m, "exec printf '%s\\0' ");
  const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", tells], {
    encoding: "utf8",
    env: { ...environment, PATH: "/bin" },
  });
  assert.equal(stderr, "");
  return stdout.split("\0").slice(0, -1);
}

test("the script of a plain job", () => {
  const expected = `#!/bin/bash
# Written by \`distmis submit\` ${packageVersion()} from /data/hippo.yaml; docs/cluster.md tells more.
# \`sbatch\` of this file starts or continues the same run.
#SBATCH --job-name=distmis-hippo
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=80
#SBATCH --gpus-per-node=4
#SBATCH --output=/runs/hippo/slurm/%j.log
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --no-kill

# exec: SLURM's signals are for distmis, and its exit code is the job's.
exec ${process.execPath} ${packageRoot()}/bin/distmis run /runs/hippo/slurm/experiment.yaml --run-dir /runs/hippo --ray-address slurm --max-requeues 10
`;
  assert.equal(scriptOf(plan({})), expected);
});

test("every setting has its line", () => {
  const text = scriptOf(
    plan({
      nodes: 4,
      gpu_option: "gres",
      time: "2-00:00:00",
      partition: "acc,debug",
      qos: "acc_ehpc",
      account: "bsc 21",
      constraint: "a100&(rack1|rack2)",
      exclusive: true,
      modules: ["cuda/12.6", "nodejs"],
      sbatch: ["mem=64G", "--mail-user=me@example.org"],
      min_nodes: 3,
      node_deadline: 600,
      interface: "ib0",
      max_requeues: 0,
    }),
  );
  for (const line of [
    "--nodes=4",
    "--gres=gpu:4",
    "--exclusive",
    "--time=2-00:00:00",
    "--partition=acc,debug",
    "--qos=acc_ehpc",
    '--account="bsc 21"',
    '--constraint="a100&(rack1|rack2)"',
    "--mem=64G",
    "--mail-user=me@example.org",
    "--no-requeue",
  ])
    assert.ok(text.includes(`\n#SBATCH ${line}\n`), `${line} in ${text}`);
  assert.ok(text.includes("\nmodule load cuda/12.6 || exit\nmodule load nodejs || exit\n"));
  assert.match(text, /--min-nodes 3 --node-deadline 600 --interface ib0 --max-requeues 0$/m);
  assert.doesNotMatch(text, /--gpus-per-node/);
  assert.doesNotMatch(scriptOf(plan({ gpus_per_node: 0 })), /gpu/);
});

test("names arrive in distmis as they are, whatever bash might make of them", () => {
  const names = ["/r/with space", "/r/$(touch x) `touch y`", '/r/it\'s "quoted" \\ #', "/r/*;&|<>~!", "/r/ünï-日本"];
  for (const name of names) {
    const script = scriptOf(plan({ interface: name }, { runOptions: ["--extend"] }));
    assert.deepEqual(argumentsIn(script).slice(-6), [
      "--ray-address",
      "slurm",
      "--interface",
      name,
      "--max-requeues",
      "10",
    ]);
    // A backslash is the one that SLURM has no way to write into the log's name.
    if (name.includes("\\")) continue;
    const there = argumentsIn(scriptOf(plan({}, { runDir: name })));
    assert.deepEqual(there.slice(0, 4), ["run", `${name}/slurm/experiment.yaml`, "--run-dir", name]);
  }
  assert.throws(() => scriptOf(plan({}, { runDir: "/r/a\\b" })), /"\/r\/a\\\\b\/slurm": SLURM writes no log below/);
  assert.throws(() => scriptOf(plan({}, { runDir: "/r/a\nb" })), /SLURM writes no log below a folder with/);
  assert.throws(() => plan({ account: "a\n#SBATCH --uid=0" }), /^DistmisError: --account: expected a text of one line/);
  assert.throws(() => plan({ sbatch: ["mem=1\ntouch x"] }), /--sbatch: expected a text of one line/);
  // A comment can't end early.
  const commented = scriptOf(plan({}, { experimentFile: "/data/a\ntouch x" }));
  assert.equal(commented.split("\n").filter((line) => line.startsWith("touch")).length, 0);
});

test("failed trials are run again by the first start, and by no restart", () => {
  const script = scriptOf(plan({}, { onceOptions: ["--retry-failed"] }));
  assert.ok(argumentsIn(script).includes("--retry-failed"));
  for (const variable of ["SLURM_RESTART_COUNT", "DISTMIS_RESTARTS"])
    assert.ok(!argumentsIn(script, { [variable]: "1" }).includes("--retry-failed"));
});

test("profiles: those that come with distmis, one's own, and what is wrong with them", async () => {
  const marenostrum = jobSettings(await readProfile("marenostrum5-acc"), { account: "bsc21", nodes: 2 });
  assert.deepEqual(
    [marenostrum.nodes, marenostrum.gpusPerNode, marenostrum.cpusPerNode, marenostrum.partition, marenostrum.account],
    [2, 4, 80, "acc", "bsc21"],
  );
  assert.equal(jobSettings(await readProfile("generic"), {}).exclusive, true);
  const file = path.join(folder, "own.yaml");
  const settings = async (text: string, given = {}) => {
    fs.writeFileSync(file, text);
    return jobSettings(await readProfile(file), given);
  };
  const text = "gpus_per_node: 2\nexclusive: true\nmodules: [cuda]\nsbatch: [mem=0]\n";
  const own = await settings(text, { modules: ["nodejs"], exclusive: false, cpus_per_node: 8 });
  assert.deepEqual([own.modules, own.sbatch, own.exclusive], [["cuda", "nodejs"], ["mem=0"], false]);
  const refused = async (wrong: string, said: RegExp, given = {}): Promise<void> => {
    await assert.rejects(
      settings(wrong, given),
      (error: unknown) => error instanceof DistmisError && said.test(error.message),
    );
  };
  await refused("gpu_per_node: 4\n", /own\.yaml:1: gpu_per_node: unknown key; did you mean gpus_per_node\?$/);
  await refused(
    "nodes: 0\ntime: 1h\n",
    /own\.yaml:1: nodes: expected .*at least 1, found 0\n.*:2: time: expected a time as sbatch/,
  );
  await refused("exclusive: true\n", /^--gpus-per-node: expected the GPUs of each node/);
  await refused("gpus_per_node: 1\n", /^--cpus-per-node: expected .*or --exclusive/);
  await refused(text, /^--nodes: expected a whole number of at least 1, found 1\.5$/, { nodes: 1.5 });
  await refused(text, /^--min-nodes 3: expected at most the 2 of --nodes$/, { nodes: 2, min_nodes: 3 });
  await assert.rejects(readProfile("marenostrum"), /expected one of generic, marenostrum5-acc, or the path of a file/);
  await assert.rejects(readProfile("./none.yaml"), /none\.yaml: there is no such file/);
});

test("trials that the nodes can never hold are refused", () => {
  const settings = jobSettings({}, { nodes: 2, gpus_per_node: 4, cpus_per_node: 80 });
  const need = { replicas: 8, gpusPerReplica: 1, cpusPerReplica: "auto" as const };
  checkCapacity(need, settings);
  checkCapacity({ ...need, replicas: 16, gpusPerReplica: 0.5 }, settings);
  checkCapacity({ ...need, gpusPerReplica: 0, cpusPerReplica: 20 }, settings);
  const refused = (more: Partial<typeof need> | { cpusPerReplica: number }, said: RegExp): void =>
    assert.throws(() => checkCapacity({ ...need, ...more }, settings), said);
  refused({ replicas: 9 }, /a trial needs 9 x 1 GPUs, and the job has 2 x 4; ask for more, or lower/);
  // Two of three GPUs leave two on each node.
  refused({ replicas: 3, gpusPerReplica: 3 }, /3 x 3 GPUs/);
  refused({ gpusPerReplica: 0.6, replicas: 9 }, /9 x 0\.6 GPUs/);
  refused({ cpusPerReplica: 21 }, /8 x 21 CPUs, and the job has 2 x 80/);
});

test("the manual has every field of a profile", () => {
  const manual = fs.readFileSync(path.join(packageRoot(), "docs/cluster.md"), "utf8");
  for (const field of Object.keys(profileSchema.shape)) assert.match(manual, new RegExp(`^\\| \`${field}\` +\\|`, "m"));
});
