import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, it } from "node:test";
import { defineExperiment, type ExperimentInput } from "../../src/config/index.ts";
import { type RunEvent, runExperiment } from "../../src/experiment/index.ts";
import { GangEndCause } from "../../src/generated/distmis/v1/cluster.ts";
import { scriptedCluster } from "./scripted-cluster.ts";

let folder = "";
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-board-"));
  fs.writeFileSync(path.join(folder, "task.mjs"), "");
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Runs two trials, whose first attempts are lost, and returns how many event files each has. */
async function eventFiles(name: string, train: ExperimentInput["train"]): Promise<number[]> {
  const experiment = defineExperiment({
    name,
    trainer: { module: path.join(folder, "task.mjs") },
    search: { space: { "trainer.parameters.n": { grid: [1, 2] } } },
    ...(train === undefined ? {} : { train }),
  });
  const cluster = scriptedCluster({
    slots: 2,
    trial: ({ attempt }) =>
      attempt === 1 ? { values: [0.5], end: GangEndCause.GANG_END_CAUSE_ACTOR_LOST } : { values: [0.5, 0.75] },
  });
  const runDir = path.join(folder, name);
  const run = runExperiment(cluster, experiment, { runDir });
  const events: RunEvent[] = [];
  for await (const event of run) events.push(event);
  assert.equal((await run.results).state, "finished");
  return ["0001", "0002"].map(
    (trial) => fs.readdirSync(path.join(runDir, "trials", trial)).filter((file) => file.includes("tfevents")).length,
  );
}

it("trials have an event file for each attempt, unless they are debugged or it is not wanted", async () => {
  assert.deepEqual(await eventFiles("default", undefined), [2, 2]);
  assert.deepEqual(await eventFiles("debug", { debug: true }), [0, 0]);
  assert.deepEqual(await eventFiles("both", { debug: true, tensorboard: true }), [2, 2]);
  assert.deepEqual(await eventFiles("unwanted", { tensorboard: false }), [0, 0]);
});
