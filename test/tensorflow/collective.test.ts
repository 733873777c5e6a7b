/** What replicas compute together: real processes, one thread each, on this machine's loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, test } from "node:test";
import { entryCommand } from "../../src/paths/index.ts";
import { allReduce, broadcast, compile, loadTensorFlow } from "../../src/tensorflow/index.ts";
import { type Ended, freePort, runGang } from "../support/gang.ts";
import { markChildren } from "../support/marked-processes.ts";
import type { Findings, ReplicaArguments } from "./fixtures/replica.ts";

const mark = markChildren();
after(() => assert.deepEqual(mark.processes(), [], "no process is left"));

const program = entryCommand(new URL("./fixtures/replica.ts", import.meta.url));
const DEADLINE_MS = 120_000;

// A proxy that nobody listens on: gRPC must not use it.
const environment = { http_proxy: "http://127.0.0.1:9", grpc_proxy: "http://127.0.0.1:9" };

/** Runs jobs in a cluster of `size`, or in its first `started` replicas. */
function run(
  jobs: ReplicaArguments["jobs"],
  size: number,
  { started = size, ...more }: { started?: number; victim?: number } = {},
): Promise<Ended[]> {
  const nobody = Array.from({ length: size - started }, (_, index) => `127.0.0.1:${index + 1024}`);
  return runGang(
    started,
    (rank, addresses) => {
      const given: ReplicaArguments = { jobs, addresses: [...addresses, ...nobody], rank, ...more };
      return { command: [...program, JSON.stringify(given)], environment };
    },
    DEADLINE_MS,
  );
}

/** Asserts that all replicas ended in good order; returns what each found in each job. */
function findings(ended: readonly Ended[]): Findings[][] {
  return ended.map(({ stdout, stderr, code }) => {
    assert.equal(code, 0, `${stdout}${stderr}`);
    return JSON.parse(stdout);
  });
}

test("a cluster that is none is refused by replica and address", () => {
  const refused = (addresses: string[], rank: number, message: RegExp) =>
    assert.throws(() => loadTensorFlow({ cluster: { addresses, rank } }), { code: "CONFIG_INVALID", message });
  for (const address of [
    "node",
    "node:",
    ":2000",
    "node:0",
    "node:80",
    "node:70000",
    "no de:2000",
    "1.2.3.400:2000",
    "::1:2000",
    "[::g]:2000",
  ]) {
    const message = new RegExp(`replica 1: expected "host:port".*found "${address.replace(/[[\]]/g, "\\$&")}"`);
    refused(["node:2000", address], 0, message);
  }
  refused(["node:2000", "[::1]:2000", "node:2000"], 0, /replicas 0 and 2 have the same cluster address node:2000/);
  refused(["node:2000"], 1, /rank 1 is not among the 1 replicas/);
});

for (const size of [2, 4]) {
  test(`${size} replicas compute the same together, and what they should`, async (context) => {
    const found = findings(await run(["sums", "orders", "broadcast"], size));
    const check = (title: string, job: number, tensors: number) =>
      context.test(title, () => {
        for (const replica of found) {
          assert.equal(replica[job]?.differences.length, tensors);
          assert.ok(Math.max(...(replica[job]?.differences ?? [])) < 1e-6, `${replica[job]?.differences}`);
          assert.equal(replica[job]?.digest, found[0]?.[job]?.digest, "the same bits on all replicas");
        }
      });
    await check("sums, means and maxima, eagerly and compiled", 0, 4 * 3 + 1);
    await check("50 steps, with tensors computed and given in different orders", 1, 50 * 5);
    await check("replica 0's values, bit by bit", 2, 2 * 2);
  });
}

// Replica 0 is the one that knows who is in the group.
for (const victim of [0, 2]) {
  test(`where replica ${victim} is killed, the others fail instead of waiting`, async () => {
    const ended = await run(["killed"], 3, { victim });
    assert.equal(ended[victim]?.signal, "SIGKILL");
    for (const { code, stdout } of ended.filter((_, rank) => rank !== victim)) {
      assert.equal(code, 1);
      assert.match(stdout, /TF_Status: 14[\s\S]*(Connection reset by peer|Socket closed|Broken pipe)/);
    }
  });
}

test("a replica that never comes is waited for as long as the time limit says", async () => {
  const [ended] = await run(["alone"], 2, { started: 1 });
  assert.equal(ended?.code, 1);
  assert.match(ended.stdout, /TF_Status: 4[\s\S]*timed out waiting for other workers/);
});

test("replicas whose tensors differ in size get an error", async () => {
  for (const { code, stdout } of await run(["sizes"], 2)) {
    assert.equal(code, 1);
    assert.match(stdout, /expected shape \[[12]000\] but another member in the group expected shape \[[12]000\]/);
  }
});

test("a port in use is told as such, and the next ones can be tried", async () => {
  const held = net.createServer();
  await once(held.listen(0), "listening");
  const { port } = held.address() as net.AddressInfo;
  const clash = { addresses: [`127.0.0.1:${port}`], rank: 0 };
  assert.throws(() => loadTensorFlow({ threads: 1, cluster: clash }), {
    name: "DistmisError",
    code: "PORT_TAKEN",
    message: `replica 0 can't listen at 127.0.0.1:${port}: the port is in use`,
  });
  held.close();

  const cluster = { addresses: [`127.0.0.1:${await freePort()}`], rank: 0 };
  const runtime = loadTensorFlow({ threads: 1, cluster });
  const { tf } = runtime;
  assert.equal(runtime.devices[0]?.name, "/job:worker/replica:0/task:0/device:CPU:0");
  assert.equal(loadTensorFlow({ cluster }), runtime);
  assert.throws(() => loadTensorFlow({ cluster: { addresses: ["localhost:2000"], rank: 0 } }), /a new process/);

  // One replica alone has nothing to wait for.
  const step = compile(runtime, { name: "alone" }, (x: typeof one) =>
    broadcast(runtime, allReduce(runtime, x, { name: "one", operation: "mean" }), { name: "start" }),
  );
  const one = tf.tensor1d([1, 2, 3]);
  const same = step(one);
  assert.deepEqual(Array.from(same.dataSync()), [1, 2, 3]);
  const other = tf.scalar(1);
  assert.throws(() => allReduce(runtime, other, { name: "one" }), /another name/);
  const flag = tf.scalar(true);
  assert.throws(() => allReduce(runtime, flag, { name: "flag" }), /expected a float32 or int32 tensor, found bool/);
  tf.dispose([one, same, other, flag]);
});
