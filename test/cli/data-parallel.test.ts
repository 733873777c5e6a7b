/** `distmis data-parallel` as a user runs it: DistMIS's JSON, real training of each model on two replicas, one of which is killed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { runFiles } from "../../src/experiment/index.ts";
import { entryCommand, moduleUrl } from "../../src/paths/index.ts";
import { markedProcesses } from "../support/marked-processes.ts";
import { tinyRecords } from "../support/training.ts";

const EPOCHS = 40;
let folder = "";
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-data-parallel-"));
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

interface Event {
  type: string;
  trial: string;
  attempt: number;
  epoch: number;
  metrics: Record<string, number>;
}

/** The trainers among the processes with this mark. */
function trainers(mark: string): number[] {
  return markedProcesses(mark)
    .map((line) => Number(line.split(" ")[0]))
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("trainer/main");
      } catch {
        return false; // It ended while we looked.
      }
    });
}

test("trains model by model on two replicas, and goes on after the loss of a replica", {
  timeout: 120_000,
}, async () => {
  const records = await tinyRecords(folder, 10, [8, 8, 8], [0.7, 0.3, 0]);
  const config = path.join(folder, "config.json");
  const given = { num_replicas: 2, batch_size_per_replica: 1, num_epochs: EPOCHS, debug: false };
  fs.writeFileSync(config, JSON.stringify(given));
  const mark = randomUUID();
  const runDir = path.join(folder, "run");
  const options = [
    ...["--config", config, "--dataset-dir", records, "--run-dir", runDir, "--gpus", "2", "--cpus", "2", "--json"],
    // Two of the 32 models.
    ...["--set", 'search.space={"model.norm":{"grid":["batch","group"]}}'],
    ...["--set", "model.filters=4", "--set", "model.groups=2", "--set", "model.depth=1"],
  ];
  const [program = "", ...args] = entryCommand(moduleUrl("cli/main"));
  const child = spawn(program, [...args, "data-parallel", ...options], {
    cwd: folder,
    env: { ...process.env, DISTMIS_TEST_MARK: mark, SPT_NOENV: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  const stderr = text(child.stderr);
  const events: Event[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as Event;
    events.push(event);
    if (event.type !== "epoch" || event.attempt > 1 || event.trial !== "0001" || event.epoch !== 2) continue;
    const found = trainers(`DISTMIS_TEST_MARK=${mark}`);
    assert.equal(found.length, 2);
    process.kill(found[1] as number, "SIGKILL");
  }
  assert.deepEqual(await ended, [0, null], await stderr);

  const epochs = (trial: string, attempt: number) =>
    events
      .filter((event) => event.type === "epoch" && event.trial === trial && event.attempt === attempt)
      .map(({ epoch }) => epoch);
  const [first, second] = [epochs("0001", 1), epochs("0001", 2)];
  assert.ok(first.length >= 2 && first.length < EPOCHS, "killed in the midst");
  const [resumed = 0] = second;
  // A checkpoint may have been written whose report was lost.
  assert.ok(resumed === first.length + 1 || resumed === first.length + 2, `${resumed} after ${first.length}`);
  assert.equal(second.at(-1), EPOCHS);
  assert.deepEqual(
    epochs("0002", 1),
    Array.from({ length: EPOCHS }, (_, index) => index + 1),
  );
  for (const trial of ["0001", "0002"]) {
    const losses = events.filter((event) => event.type === "epoch" && event.trial === trial).map((e) => e.metrics.loss);
    assert.ok((losses.at(-1) ?? 1) < (losses[0] ?? 0), "it learns");
    const files = fs.readdirSync(runFiles.trial(runDir, trial)).filter((name) => !name.startsWith("events.out."));
    assert.deepEqual(files.toSorted(), ["checkpoints", "config.json", "previews", "trainer-1.log", "trainer.log"]);
  }
  const log = fs.readFileSync(runFiles.trialLog(runDir, "0001"), "utf8");
  assert.match(log, new RegExp(`^continues after epoch ${resumed - 1} from `, "m"));
});
