/** One experiment of a server, on a cluster that can't be reached at first. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { defineExperiment } from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";
import { beginWork } from "../../src/server/work.ts";
import { scriptedCluster } from "../experiment/scripted-cluster.ts";

it("waits for a cluster that is away, in one part of its run, until it is cancelled", {
  timeout: 30_000,
}, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "distmis-work-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(path.join(folder, "task.mjs"), "");
  const space = { "trainer.parameters.n": { grid: [1, 2] } };
  const experiment = defineExperiment({
    name: "x",
    trainer: { module: path.join(folder, "task.mjs") },
    search: { space },
  });
  const standing = { ended: 0, total: null, running: 0, best: null };
  const record = {
    ...{ run: "x", experiment, state: "running" as const, since: new Date().toISOString(), standing },
    ...{ extend: false, retryFailed: false, diskCheck: true, failure: null },
  };
  const cluster = scriptedCluster({ slots: 1 });
  const begin = (name: string, refusals: number) => {
    let asked = 0;
    const get = async () => {
      if (asked++ < refusals) throw new DistmisError("CLUSTER_UNAVAILABLE", "nobody answers");
      return cluster;
    };
    const holder = { get, close: async () => {} };
    const runDir = path.join(folder, name);
    return beginWork(record, { cluster: holder, runDir, backlog: 2 ** 20, shared: false, begun: () => {} });
  };

  const work = begin("away", 1);
  const events: { type: string; text?: string }[] = [];
  for await (const json of work.feed.follow(new AbortController().signal)) events.push(JSON.parse(json));
  const outcome = await work.outcome.promise;
  assert.ok("results" in outcome && outcome.results.state === "finished", JSON.stringify(outcome));
  assert.equal(outcome.results.trials.length, 2);
  assert.equal(events.filter(({ type }) => type === "run_started").length, 1);
  const said = events.flatMap(({ text }) => text ?? []).join("\n");
  assert.match(said, /^nobody answers; trying again in 2 s, until the run is cancelled$/m);

  const cancelled = begin("gone", Number.POSITIVE_INFINITY);
  for await (const json of cancelled.feed.follow(new AbortController().signal))
    if (json.includes("trying again")) cancelled.stop.abort();
  const end = await cancelled.outcome.promise;
  assert.ok("results" in end && end.results.state === "interrupted", JSON.stringify(end));
});
