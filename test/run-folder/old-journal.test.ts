/** Journals that older versions of distmis wrote; each fixture was made by the code of its time. */
import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, it } from "node:test";
import { openRun, rankedSummaries, readRun, runFiles } from "../../src/run-folder/index.ts";

const fixtures = path.join(import.meta.dirname, "../fixtures/journals");
let dir = "";
before(async () => {
  dir = path.join(await mkdtemp(path.join(tmpdir(), "distmis-old-journal-")), "run");
  await mkdir(dir);
});
after(() => rm(path.dirname(dir), { recursive: true, force: true }));

it("a journal of version 1 is read, continued by the same experiment, and read again", async () => {
  await copyFile(path.join(fixtures, "version-1.jsonl"), runFiles.journal(dir));
  const before = await readRun(dir);
  const { experiment } = before;
  const rows = rankedSummaries(before.state, experiment, dir).map(({ trial, state, best, attempts, epoch }) => {
    return { trial, state, best: best?.value ?? null, attempts, epoch };
  });
  assert.deepEqual(rows, [
    { trial: "0001", state: "completed", best: 0.5, attempts: 1, epoch: 3 },
    { trial: "0003", state: "failed", best: 0.3, attempts: 1, epoch: 1 },
    { trial: "0002", state: "completed", best: 0.2, attempts: 2, epoch: 2 },
    { trial: "0004", state: "waiting", best: 0.2, attempts: 1, epoch: 2 },
  ]);
  assert.equal(before.state.trials.get("0002")?.failures, 1);
  assert.equal(before.state.finished, false);
  assert.equal(before.torn, null);

  const run = await openRun(dir, experiment);
  run.record({ type: "attempt_started", trial: "0004", attempt: 2, replicas: 1, nodes: ["node"], gpus: [] });
  run.record({ type: "attempt_ended", trial: "0004", attempt: 2, cause: "stalled", error: "of version 2" });
  await run.close();
  const after = await readRun(dir);
  assert.equal(after.state.trials.get("0004")?.attempts, 2);
  const continued = (await readFile(runFiles.journal(dir), "utf8")).split("\n").at(-4) ?? "";
  assert.match(continued, /"type":"run_continued","version":2/);
});
