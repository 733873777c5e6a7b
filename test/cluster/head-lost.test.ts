/** A run whose Ray loses its head. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { distmisCommand, startCommand } from "../support/command.ts";
import { startRayNodes } from "../support/ray-nodes.ts";
import { fixture } from "../support/trainer.ts";
import { until } from "../support/until.ts";

test("a run whose Ray loses its head ends soon, with one line that says so", async (t) => {
  const nodes = await startRayNodes([1, 1]);
  t.after(() => nodes.close());
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "head-lost-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  Object.assign(process.env, nodes.environment);
  const experiment = {
    name: "lost",
    train: { epochs: 100_000 },
    trainer: { module: fixture("epochs.ts"), parameters: { epoch_ms: 100 } },
    resources: { gpus_per_replica: 0, cpus_per_replica: 1 },
  };
  fs.writeFileSync(path.join(dir, "exp.json"), JSON.stringify(experiment));
  const run = startCommand(distmisCommand(["run", "exp.json", "--ray-address", nodes.address]), dir);
  t.after(() => void run.child.kill("SIGKILL"));
  await until(
    () => `the first epoch\n${run.stderr()}${run.stdout()}`,
    () => /epoch/.test(run.stdout() + run.stderr()),
    60_000,
  );
  const head = nodes.processes(0).find((line) => line.includes("/gcs_server"));
  assert.ok(head);
  const begin = performance.now();
  process.kill(Number.parseInt(head, 10), "SIGKILL");
  const { code } = await run.exit;
  const seconds = (performance.now() - begin) / 1000;
  assert.equal(code, 1);
  assert.ok(seconds < 30, `it took ${seconds} s`);
  const last = run.stderr().trim().split("\n").at(-1) ?? "";
  assert.match(last, /the head of Ray at \S+ does not answer any more, and with it the cluster is gone/);
  assert.ok(last.length < 400, last);
  assert.deepEqual(run.processes(), []);
});
