/** From a trained trial to a model folder, and back into `predict`. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { experimentSchema, type TrialConfig, trialConfig } from "../../src/config/index.ts";
import { readInfo } from "../../src/data/index.ts";
import { leaveModel } from "../../src/experiment/leave-model.ts";
import { findCheckpoint, predict } from "../../src/inference/index.ts";
import { readSafetensors } from "../../src/model/safetensors.ts";
import { exportModel } from "../../src/model-folder/index.ts";
import { packageVersion } from "../../src/paths/index.ts";
import type { TrialSummary } from "../../src/run-folder/results.ts";
import trainTask from "../../src/trainer/tasks/train.ts";
import { tinyRecords } from "../support/training.ts";

let dir = "";
let run = "";
let records = "";
let best: TrialSummary;
const experiment = (data: string) =>
  experimentSchema.parse({
    name: "tiny",
    data: { dir: data },
    model: { filters: 4, depth: 2 },
    train: { epochs: 2, seed: 5 },
  });
const checkpoint = () => path.join(run, "trials/0001/checkpoints/best.safetensors");
const json = (...names: string[]) => JSON.parse(fs.readFileSync(path.join(...names), "utf8"));
const sha256 = (file: string) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-export-"));
  records = await tinyRecords(dir);
  run = path.join(dir, "run");
  best = await train(trialConfig(experiment(records), { "train.learning_rate": 0.01 }));
  fs.writeFileSync(path.join(run, "results.jsonl"), `${JSON.stringify(best)}\n`);
});
after(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Trains trial 0001 of the run, as a trainer and the orchestrator would. */
async function train(config: TrialConfig): Promise<TrialSummary> {
  const folder = path.join(run, "trials/0001");
  fs.mkdirSync(folder, { recursive: true });
  let metrics: Record<string, number> = {};
  let found = { value: -1, epoch: 0, checkpoint: "" };
  await trainTask.run({
    trialId: "0001",
    attempt: 1,
    config,
    taskInput: { metric: "val_dice", mode: "max" },
    reportedEpoch: 0,
    dir: folder,
    rank: 0,
    replicas: 1,
    addresses: [],
    threads: 2,
    shared: new Map(),
    stopRequested: () => false,
    report: async ({ epoch, metrics: reported, checkpoint: name }) => {
      metrics = reported;
      const value = reported.val_dice ?? -1;
      if (value > found.value) found = { value, epoch, checkpoint: name };
    },
  });
  return {
    trial: "0001",
    state: "completed",
    parameters: { "train.learning_rate": 0.01 },
    epoch: 2,
    epochs: 2,
    best: found,
    metrics,
    seconds: 1.5,
    nodes: ["node1"],
    gpus: ["0"],
    attempts: 1,
    error: null,
    dir: folder,
  };
}

const finished = () => ({ state: "finished", runDir: run, best }) as const;

test("a finished search leaves its best trial's model, with all that is known of it", async () => {
  const { model, problem } = await leaveModel(finished(), experiment(records));
  assert.equal(problem, null);
  const folder = path.join(run, "model");
  assert.equal(model, folder);
  const names = ["labels.json", "metrics.json", "preprocessing.json", "provenance.json", "weights.safetensors"];
  assert.deepEqual(fs.readdirSync(folder).sort(), [...names, "model.json"].sort());
  assert.deepEqual(fs.readdirSync(run).sort(), ["model", "results.jsonl", "trials"], "nothing temporary");

  const { architecture, input, output, sha256: sums } = json(folder, "model.json");
  assert.deepEqual(sums, Object.fromEntries(names.map((name) => [name, sha256(path.join(folder, name))])));
  assert.deepEqual([architecture.type, architecture.filters, architecture.norm], ["unet3d", 4, "batch"]);
  const info = await readInfo(records);
  const own = info.distmis;
  assert.ok(own);
  assert.deepEqual(input, {
    axes: "NXYZC",
    dtype: "float32",
    channels: 4,
    modalities: own.modalities,
    window: [8, 8, 8],
    divisor: 4,
  });
  assert.deepEqual(output, { axes: "NXYZK", dtype: "float32", channels: 1, activation: "sigmoid" });
  assert.deepEqual(json(folder, "preprocessing.json"), own.preprocessing);
  const labels = json(folder, "labels.json");
  assert.equal(labels.mode, "binary");
  assert.deepEqual(
    labels.classes.map(({ value, name, output: place }: Record<string, unknown>) => [value, name, place]),
    Object.entries(own.classes).map(([value, name]) => [Number(value), name, value === "0" ? null : 0]),
  );

  const { epoch, metrics, goal, best: reached, measured } = json(folder, "metrics.json");
  assert.deepEqual(goal, { metric: "val_dice", mode: "max" });
  assert.deepEqual(reached, { value: best.best?.value, epoch: best.best?.epoch });
  assert.equal(epoch, reached.epoch);
  assert.equal(metrics.val_dice, reached.value);
  assert.deepEqual(measured, {});

  const provenance = json(folder, "provenance.json");
  assert.deepEqual(
    [provenance.experiment, provenance.trial, provenance.attempt, provenance.seed, provenance.epoch],
    ["tiny", "0001", 1, 5, epoch],
  );
  assert.deepEqual(provenance.parameters, { "train.learning_rate": 0.01 });
  assert.equal(provenance.train.learning_rate, 0.01);
  assert.deepEqual([provenance.nodes, provenance.gpus, provenance.host], [["node1"], ["0"], os.hostname()]);
  assert.equal(provenance.versions.distmis, packageVersion());
  assert.equal(provenance.versions.node, process.versions.node);
  assert.match(provenance.versions.tensorflow, /^2\.\d+\.\d+/);
  assert.ok(Math.abs(Date.now() - Date.parse(provenance.trained)) < 600_000);
  const { data } = provenance;
  assert.deepEqual(
    [data.dir, data.name, data.info_sha256],
    [records, own.name, sha256(path.join(records, "info.json"))],
  );
  assert.equal(data.sources.train.length, own.samples.train.length);
  const [first] = data.sources.train;
  const source = path.join(data.sources.dir, first.image);
  assert.equal(first.image_sha256, sha256(source));

  const stored = await readSafetensors(checkpoint());
  const weights = await readSafetensors(path.join(folder, "weights.safetensors"));
  const learnt = [...stored.tensors].filter(([name]) => !name.startsWith("optimizer."));
  assert.ok(learnt.length < stored.tensors.size);
  assert.deepEqual([...weights.tensors], learnt);

  const before = fs.statSync(path.join(folder, "model.json")).ino;
  await leaveModel(finished(), experiment(records));
  assert.equal(fs.statSync(path.join(folder, "model.json")).ino, before, "a whole one stays");
});

test("predict gives the same masks by the folder as by the checkpoint", async () => {
  const folder = path.join(dir, "exported");
  await exportModel({ checkpoint: checkpoint(), output: folder });
  const masks: string[][] = [];
  for (const [index, model] of [folder, checkpoint()].entries()) {
    const outputDir = path.join(dir, `masks-${index}`);
    const inputs = [path.join(dir, "msd/imagesTr")];
    const written: string[] = [];
    for await (const { output } of predict({ model, inputs, outputDir, threads: 2 })) written.push(sha256(output));
    masks.push(written);
  }
  assert.equal(masks[0]?.length, 6);
  assert.deepEqual(masks[0], masks[1]);
});

test("every file of a folder is verified, and a damaged, changed or missing one is named", async () => {
  const whole = path.join(dir, "whole");
  await exportModel({ checkpoint: checkpoint(), output: whole });
  for (const name of fs.readdirSync(whole)) {
    const folder = path.join(dir, "damaged");
    fs.cpSync(whole, folder, { recursive: true });
    const file = path.join(folder, name);
    const bytes = fs.readFileSync(file);
    // In model.json a brace, elsewhere whatever is there.
    const at = name === "model.json" ? 0 : bytes.length - 3;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    fs.writeFileSync(file, bytes);
    await assert.rejects(findCheckpoint(folder), (error: Error & { code?: string }) => {
      assert.equal(error.code, "DATA_INVALID");
      assert.ok(error.message.startsWith(`${file}: damaged`), error.message);
      return true;
    });
    fs.rmSync(file);
    await assert.rejects(findCheckpoint(folder), { code: "FILE_UNUSABLE", message: /does not exist/ });
    fs.rmSync(folder, { recursive: true });
  }
});

test("nothing but a model folder is replaced, and that only when asked to", async () => {
  const output = path.join(dir, "here");
  await exportModel({ checkpoint: checkpoint(), output });
  const again = { checkpoint: checkpoint(), output, measured: { test: { dice: 0.75 } } };
  await assert.rejects(exportModel(again), { code: "FILE_UNUSABLE", message: /holds a model already: --overwrite/ });
  assert.deepEqual(json(output, "metrics.json").measured, {});
  await exportModel({ ...again, overwrite: true });
  assert.deepEqual(json(output, "metrics.json").measured, { test: { dice: 0.75 } });
  assert.equal(await findCheckpoint(output), path.join(output, "weights.safetensors"));

  fs.writeFileSync(path.join(output, "thesis.tex"), "");
  await assert.rejects(exportModel({ ...again, overwrite: true }), {
    code: "FILE_UNUSABLE",
    message: /here: holds thesis\.tex and is no model folder/,
  });
  const file = path.join(dir, "file");
  fs.writeFileSync(file, "");
  await assert.rejects(exportModel({ ...again, output: file, overwrite: true }), {
    code: "FILE_UNUSABLE",
    message: /file: is a file/,
  });
  await assert.rejects(exportModel({ ...again, checkpoint: path.join(output, "weights.safetensors") }), {
    code: "USAGE",
    message: /here: is a model folder already/,
  });
  await assert.rejects(
    exportModel({ ...again, checkpoint: path.join(dir, "none.safetensors"), output: `${output}2` }),
    {
      code: "FILE_UNUSABLE",
      message: /none\.safetensors: does not exist/,
    },
  );
  assert.ok(!fs.existsSync(`${output}2`));
  assert.deepEqual(
    fs.readdirSync(dir).filter((name) => name.startsWith(".")),
    [],
    "nothing temporary",
  );
});

test("a model that can't be written is told and no reason to fail; a trainer of one's own has none", async () => {
  const elsewhere = path.join(dir, "elsewhere");
  const gone = { ...finished(), runDir: elsewhere, best: { ...best, dir: path.join(dir, "gone") } };
  const { model, problem } = await leaveModel(gone, experiment(records));
  assert.equal(model, null);
  assert.match(problem ?? "", /^no model folder was written: .*gone\/checkpoints\/best\.safetensors: does not exist$/);
  const own = experimentSchema.parse({ name: "own", trainer: { module: "/x.mjs" } });
  assert.deepEqual(await leaveModel({ ...finished(), runDir: elsewhere }, own), { model: null, problem: null });
  const stopped = await leaveModel({ ...finished(), runDir: elsewhere, state: "interrupted" }, experiment(records));
  assert.deepEqual(stopped, { model: null, problem: null });
  assert.ok(!fs.existsSync(elsewhere));
});
