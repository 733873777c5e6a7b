/** The agent of a node, as `srun` would start it, on this machine. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { type AgentSaid, BEAT_MILLISECONDS, type StartNode, saidSchema } from "../../src/allocation/messages.ts";
import { connect } from "../../src/cluster/index.ts";
import { defineExperiment, runExperiment } from "../../src/index.ts";
import { entryCommand, moduleUrl } from "../../src/paths/index.ts";
import { markChildren } from "../support/marked-processes.ts";
import { repositoryRoot } from "../support/python.ts";
import { until } from "../support/until.ts";

const mark = markChildren();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-agent-"));
after(() => {
  fs.rmSync(folder, { recursive: true });
  assert.deepEqual(mark.processes(), [], "no process is left");
});

const TOKEN = "0123456789abcdef".repeat(4);
const DEADLINE_MS = 90_000;

interface Agent {
  child: ChildProcess;
  said: AgentSaid[];
  /** Its folder, which goes with it. */
  ownFolder(): string | undefined;
}

const beats: NodeJS.Timeout[] = [];
after(() => beats.forEach(clearInterval));

function startAgent(
  start: Partial<StartNode> & { address?: string },
  environment: Record<string, string> = {},
  silent = false,
): Agent {
  const [program = "", ...args] = entryCommand(moduleUrl("allocation/agent-main"));
  const env = { ...process.env, SLURMD_NODENAME: os.hostname(), ...environment };
  const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "inherit"] });
  const said: AgentSaid[] = [];
  child.stdin.on("error", () => {}); // It has ended.
  createInterface({ input: child.stdout }).on("line", (line) => said.push(saidSchema.parse(JSON.parse(line))));
  // Somebody is there, unless a test says nothing more.
  if (!silent) beats.push(setInterval(() => child.stdin.write("\n"), BEAT_MILLISECONDS));
  const { address, ...rest } = start;
  const role = address === undefined ? "head" : "worker";
  child.stdin.write(`${JSON.stringify({ role, token: TOKEN, cpus: 2, interface: null, startSeconds: 90, slowSeconds: 60, requeue: false, lastly: [], ...rest })}
`);
  if (address !== undefined)
    child.stdin.write(`${JSON.stringify({ address })}
`);
  const ownFolder = (): string | undefined =>
    fs
      .readdirSync("/tmp")
      .map((name) => path.join("/tmp", name))
      .find((each) => {
        try {
          const { processes } = JSON.parse(fs.readFileSync(path.join(each, "owner.json"), "utf8"));
          return processes.some(({ pid }: { pid: number }) => pid === child.pid);
        } catch {
          return false;
        }
      });
  return { child, said, ownFolder };
}

const ready = (agent: Agent) =>
  until(
    () => `a node that is ready; it said ${JSON.stringify(agent.said)}`,
    () => agent.said.find((each) => each.type === "ready"),
    DEADLINE_MS,
  );

test("has the GPUs that SLURM names, also by UUIDs, and leaves nothing at the end of its input", async () => {
  const devices = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,MIG-b2c87d7e-2c5c-5b45-9d6e-0a3f4e5d6c7b";
  const agent = startAgent({}, { CUDA_VISIBLE_DEVICES: devices });
  const { address, gpus } = await ready(agent);
  assert.equal(gpus, 2);
  const own = agent.ownFolder() ?? "";
  assert.equal(fs.statSync(own).mode & 0o777, 0o700);
  // Nobody joins without the token.
  const environment = { RAY_AUTH_MODE: "token", RAY_AUTH_TOKEN: TOKEN };
  await assert.rejects(connect({ rayAddress: address }), { code: "CLUSTER_UNAVAILABLE" });
  Object.assign(process.env, environment);
  const cluster = await connect({ rayAddress: address }).finally(() => {
    for (const name of Object.keys(environment)) delete process.env[name];
  });
  try {
    const experiment = defineExperiment({
      name: "devices",
      trainer: { module: path.join(repositoryRoot, "test/fixtures/tasks/gate.mjs"), parameters: {} },
      search: { space: { "trainer.parameters.index": { grid: [0, 1] } } },
      resources: { cpus_per_replica: 1 },
    });
    const run = runExperiment(cluster, experiment, { runDir: path.join(folder, "run") });
    for await (const event of run) if (event.type === "trial_ended") assert.equal(event.state, "completed");
    const seen = ["0001", "0002"].flatMap((trial) => {
      const where = path.join(folder, "run", "trials", trial, "where-1.json");
      return JSON.parse(fs.readFileSync(where, "utf8")).devices;
    });
    assert.ok(
      seen.every((each) => devices.split(",").includes(each)),
      seen.join(),
    );
  } finally {
    await cluster.close();
  }
  agent.child.stdin?.end();
  assert.deepEqual(await once(agent.child, "exit"), [0, null]);
  assert.equal(fs.existsSync(own), false);
  assert.deepEqual(mark.processes(), []);
});

test("starts its node again when it dies, and its node ends with it", async () => {
  const head = startAgent({});
  const { address } = await ready(head);
  const worker = startAgent({ address });
  await ready(worker);
  const raylet = mark
    .processes()
    .filter((line) => line.includes("raylet/raylet") && line.includes(worker.ownFolder() ?? "-"));
  assert.equal(raylet.length, 1);
  process.kill(Number(raylet[0]?.split(" ")[0]), "SIGKILL");
  await until("the loss", () => worker.said.some(({ type }) => type === "lost"), DEADLINE_MS);
  await until("the return", () => worker.said.filter(({ type }) => type === "ready").length === 2, DEADLINE_MS);

  const own = worker.ownFolder() ?? "";
  worker.child.kill("SIGKILL");
  await once(worker.child, "exit");
  await until("the end of its node", () => !mark.processes().some((line) => line.includes(own)), 20_000);
  // What a killed one has left goes with the next one that ends.
  head.child.kill("SIGTERM");
  assert.deepEqual(await once(head.child, "exit"), [0, null]);
  assert.equal(fs.existsSync(own), false);
});

test("ends its node when nobody is there any more, as on a host that is cut off", async () => {
  const agent = startAgent({}, {}, true);
  await ready(agent);
  // Its input stays open, and silent: nobody sends the beats.
  const own = agent.ownFolder() ?? "";
  assert.deepEqual(await once(agent.child, "exit", { signal: AbortSignal.timeout(DEADLINE_MS) }), [0, null]);
  assert.equal(fs.existsSync(own), false);
});

test("names the network interfaces that there are", async () => {
  const agent = startAgent({ interface: "ib9" });
  assert.deepEqual(await once(agent.child, "exit"), [1, null]);
  const [said] = agent.said;
  assert.match(
    said?.type === "lost" ? said.reason : "",
    /^--interface ib9: .* has no such interface with an IPv4 address; it has /,
  );
});

test("a start has the time that it is given, and the last thing that a node does is what it was told to", async () => {
  const trace = path.join(folder, "trace");
  const agent = startAgent({ startSeconds: 0.4, slowSeconds: 0.1, lastly: ["/bin/touch", trace] });
  assert.deepEqual(await once(agent.child, "exit"), [0, null]);
  const [slow, lost] = agent.said;
  assert.match(slow?.type === "slow" ? slow.reason : "", /is not ready after 0 s/);
  assert.match(lost?.type === "lost" ? lost.reason : "", /did not start, it was not ready after 0.4 s/);
  assert.ok(fs.existsSync(trace));
});
