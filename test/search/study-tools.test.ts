import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { defineExperiment } from "../../src/config/index.ts";
import { pythonPath } from "../../src/paths/index.ts";
import { openRun } from "../../src/run-folder/index.ts";
import { exportStudy, type KnownTrial, parameterImportance } from "../../src/search/index.ts";

const experiment = defineExperiment({
  name: "tools",
  trainer: { module: import.meta.filename },
  search: {
    sampler: "tpe",
    metric: "score",
    space: {
      "trainer.parameters.rate": { log_uniform: [1e-4, 1] },
      "trainer.parameters.norm": { choice: ["batch", "group"] },
      "trainer.parameters.groups": { integer: [1, 4], when: { "trainer.parameters.norm": ["group"] } },
    },
    limits: { trials: 40 },
  },
});

function parametersOf(number: number): Record<string, number | string> {
  const rate = 10 ** (-4 * ((number * 0.618) % 1));
  const norm = number % 2 === 0 ? "batch" : "group";
  return {
    "trainer.parameters.rate": rate,
    "trainer.parameters.norm": norm,
    ...(norm === "group" ? { "trainer.parameters.groups": 1 + ((number >> 1) % 4) } : {}),
  };
}

async function temporaryFolder(context: TestContext): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), "distmis-study-"));
  context.after(() => rm(dir, { recursive: true }));
  return dir;
}

describe("importance", () => {
  const trials = Array.from({ length: 40 }, (_, number): KnownTrial => {
    const parameters = parametersOf(number);
    const value = -((Math.log10(Number(parameters["trainer.parameters.rate"])) + 2) ** 2);
    const at = { createdAt: 2 * number, endedAt: 2 * number + 1 };
    return { id: String(number), parameters, reports: [], outcome: { state: "completed", value }, ...at };
  });

  it("is that of every field, the most important first", async () => {
    const shares = await parameterImportance(experiment, trials);
    assert.ok(shares !== null);
    assert.equal([...shares.keys()][0], "trainer.parameters.rate");
    assert.deepEqual([...shares.keys()].toSorted(), [
      "trainer.parameters.groups",
      "trainer.parameters.norm",
      "trainer.parameters.rate",
    ]);
    assert.ok(Math.abs([...shares.values()].reduce((sum, share) => sum + share) - 1) < 1e-9);
  });

  it("has no shares where trials do not differ", async () => {
    const alike = trials.map((trial) => ({ ...trial, outcome: { state: "completed" as const, value: 1 } }));
    assert.deepEqual(await parameterImportance(experiment, alike), new Map());
  });

  it("is unknown with few completed trials", async () => {
    assert.equal(await parameterImportance(experiment, trials.slice(0, 15)), null);
    assert.notEqual(await parameterImportance(experiment, trials.slice(0, 16)), null);
    const failed = trials.map((trial) => ({ ...trial, outcome: { state: "failed" as const, value: 1 } }));
    assert.equal(await parameterImportance(experiment, failed), null);
  });
});

const SHOW = `
import json, optuna, sys
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(sys.argv[1]))
study = optuna.load_study(study_name="tools", storage=storage)
print(json.dumps([[t.user_attrs["trial"], t.state.name, t.value, t.params, t.intermediate_values,
  t.datetime_start.timestamp(), t.datetime_complete and t.datetime_complete.timestamp()] for t in study.trials]))
`;

describe("the export of a study", () => {
  it("holds the trials of a run folder, and takes no file that exists", async (context) => {
    const dir = await temporaryFolder(context);
    const folder = await openRun(path.join(dir, "run"), experiment);
    const records = { metrics: {}, error: null, attempt: 1 };
    const states = ["completed", "pruned", "failed", null] as const;
    const ended = new Map<string, number>();
    for (const [number, state] of states.entries()) {
      const trial = `000${number + 1}`;
      folder.record({ type: "trial_created", trial, parameters: parametersOf(number) });
      folder.record({ type: "attempt_started", trial, attempt: 1, replicas: 1, nodes: ["n"], gpus: ["0"] });
      for (const epoch of [1, 2]) {
        const numbers = { seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1, checkpoint: "", epochs: 3 };
        folder.record({ type: "epoch", trial, attempt: 1, epoch, metrics: { score: number / epoch }, ...numbers });
      }
      if (state === null) continue;
      const { time } = folder.record({ type: "trial_ended", trial, state, ...records });
      ended.set(trial, Date.parse(time) / 1000);
    }
    await folder.commit();
    const file = path.join(dir, "study.journal");
    assert.equal(await exportStudy(path.join(dir, "run"), file), 4);
    await folder.close();
    assert.deepEqual((await readdir(dir)).toSorted(), ["run", "study.journal"]);
    const { stdout } = await promisify(execFile)(pythonPath(), ["-c", SHOW, file]);
    const shown: unknown[][] = JSON.parse(stdout);
    assert.deepEqual(
      shown.map(([id, state, value]) => [id, state, value]),
      [
        ["0001", "COMPLETE", 0],
        ["0002", "PRUNED", 0.5],
        ["0003", "FAIL", null],
        ["0004", "RUNNING", null],
      ],
    );
    assert.deepEqual(shown[1]?.slice(3, 5), [parametersOf(1), { 1: 1, 2: 0.5 }]);
    for (const [id, , , , , start, end] of shown) {
      assert.ok(Math.abs(Number(start) - Date.now() / 1000) < 600);
      assert.equal(end, ended.get(String(id)) ?? null);
    }
    await writeFile(path.join(dir, "mine"), "mine");
    await assert.rejects(exportStudy(path.join(dir, "run"), path.join(dir, "mine")), { code: "FILE_UNUSABLE" });
    await assert.rejects(exportStudy(path.join(dir, "run"), path.join(dir, "no/file")), { code: "FILE_UNUSABLE" });
    await assert.rejects(exportStudy(dir, path.join(dir, "new")), { code: "FILE_UNUSABLE" });
  });
});
