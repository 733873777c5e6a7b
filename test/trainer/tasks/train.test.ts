/** The tasks train and evaluate on a phantom, in this process. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { ExperimentInput } from "../../../src/config/index.ts";
import { DistmisError } from "../../../src/errors/index.ts";
import { readNifti } from "../../../src/nifti/index.ts";
import evaluateTask from "../../../src/trainer/tasks/evaluate.ts";
import trainTask from "../../../src/trainer/tasks/train.ts";
import { dataset, dir, metricsOf, NAMES, trialConfig, trialIn } from "./phantom-trials.ts";

test("a trial that was stopped and continued reports what an undisturbed one does, to the last bit", async () => {
  const config = trialConfig({ epochs: 4, learning_rate: 5e-3, amsgrad: true });
  const whole = trialIn("whole", config);
  const result = await trainTask.run(whole.trial);
  assert.equal(result.stopped, false);
  assert.deepEqual(
    whole.reports.map((report) => report.epoch),
    [1, 2, 3, 4],
  );
  const last = whole.reports.at(-1)?.metrics ?? {};
  assert.ok((last.loss ?? 1) < (whole.reports[0]?.metrics.loss ?? 0), "it learns");
  assert.ok(Number.isFinite(last.val_dice) && Number.isFinite(last.val_loss));
  assert.equal(trainTask.leftovers?.(), null);

  const first = trialIn("parts", config, { stopAfter: 2 });
  assert.equal((await trainTask.run(first.trial)).stopped, true);
  const second = trialIn("parts", config);
  await trainTask.run(second.trial);
  assert.deepEqual(metricsOf([...first.reports, ...second.reports]), metricsOf(whole.reports));
  assert.equal(trainTask.leftovers?.(), null);
});

test("a continued trial reports again what the run has not heard of", async () => {
  const config = trialConfig({ epochs: 4, checkpoint_epochs: 2 });
  const first = trialIn("unheard", config, { stopAfter: 3 });
  await trainTask.run(first.trial);
  const second = trialIn("unheard", config, { reportedEpoch: 1 });
  await trainTask.run(second.trial);
  const whole = trialIn("heard", config);
  await trainTask.run(whole.trial);
  assert.deepEqual(metricsOf(second.reports), metricsOf(whole.reports).slice(1));
  const checkpoints = ({ reports }: typeof whole): string[] => reports.map(({ checkpoint }) => checkpoint);
  assert.deepEqual(checkpoints(second), checkpoints(whole).slice(1));

  // Also if it had ended, and nothing of its last epochs was heard.
  const third = trialIn("unheard", config, { reportedEpoch: 2 });
  assert.equal((await trainTask.run(third.trial)).stopped, false);
  assert.deepEqual(metricsOf(third.reports), metricsOf(whole.reports).slice(2));
});

const augmentation = {
  crop: { shape: [16, 16, 16] },
  rotation: { probability: 0.5 },
  scaling: { probability: 0.5 },
  flip: {},
  gaussian_noise: { probability: 0.5 },
  intensity: { probability: 0.5 },
  gamma: { probability: 0.5 },
} satisfies NonNullable<ExperimentInput["train"]>["augmentation"];

test("with augmentation, too, a continued trial reports what an undisturbed one does, to the last bit", async () => {
  const config = trialConfig({ epochs: 3, augmentation });
  const whole = trialIn("augmented", config);
  await trainTask.run(whole.trial);
  const first = trialIn("augmented-parts", config, { stopAfter: 1 });
  assert.equal((await trainTask.run(first.trial)).stopped, true);
  const second = trialIn("augmented-parts", config);
  await trainTask.run(second.trial);
  assert.deepEqual(metricsOf([...first.reports, ...second.reports]), metricsOf(whole.reports));
  const plain = trialIn("not-augmented", trialConfig({ epochs: 1 }));
  await trainTask.run(plain.trial);
  assert.notEqual(plain.reports[0]?.metrics.loss, whole.reports[0]?.metrics.loss);
});

for (const precision of ["bfloat16", "float16"] as const) {
  test(`in ${precision}, too, a continued trial reports what an undisturbed one does, to the last bit`, async () => {
    const config = trialConfig({ epochs: 2, precision });
    const whole = trialIn(precision, config);
    await trainTask.run(whole.trial);
    const first = trialIn(`${precision}-parts`, config, { stopAfter: 1 });
    assert.equal((await trainTask.run(first.trial)).stopped, true);
    const second = trialIn(`${precision}-parts`, config);
    await trainTask.run(second.trial);
    assert.deepEqual(metricsOf([...first.reports, ...second.reports]), metricsOf(whole.reports));
    assert.equal(trainTask.leftovers?.(), null);
    const plain = trialIn(`not-${precision}`, trialConfig({ epochs: 1 }));
    await trainTask.run(plain.trial);
    assert.notEqual(plain.reports[0]?.metrics.loss, whole.reports[0]?.metrics.loss);
  });
}

test("the crop, not the volume, must be what the network can halve", async () => {
  const crop = (shape: [number, number, number]) => trialConfig({ epochs: 1, augmentation: { crop: { shape } } });
  await assert.rejects(
    trainTask.run(trialIn("odd-crop", crop([16, 14, 16])).trial),
    /model\.depth: 2 needs sides divisible by 4, but train\.augmentation\.crop\.shape is 16 x 14 x 16/,
  );
  await assert.rejects(trainTask.run(trialIn("large-crop", crop([16, 24, 20])).trial), /crop\.shape: expected at most/);
});

test("a stopped trial continues to the last bit with momentum, a schedule, clipping, dropout and several checkpoints", async () => {
  const train: ExperimentInput["train"] = {
    epochs: 5,
    optimizer: "sgd",
    nesterov: true,
    learning_rate: 0.05,
    schedule: "cosine",
    warmup_epochs: 1.5,
    clip_norm: 1,
    loss: "dice_ce",
    keep_best: 2,
  };
  const config = trialConfig(train, { norm: "instance", activation: "leaky_relu", dropout: 0.1, residual: true });
  const whole = trialIn("scheduled", config);
  await trainTask.run(whole.trial);
  const first = trialIn("scheduled-parts", config, { stopAfter: 3 });
  await trainTask.run(first.trial);
  const second = trialIn("scheduled-parts", config);
  const result = await trainTask.run(second.trial);
  assert.deepEqual(metricsOf([...first.reports, ...second.reports]), metricsOf(whole.reports));
  const dice = whole.reports.map(({ metrics }) => metrics.val_dice ?? -1);
  assert.equal(result.metrics.best_val_dice, Math.max(...dice));

  const kept = dice
    .map((value, index) => ({ value, epoch: index + 1 }))
    .sort((a, b) => b.value - a.value)
    .slice(0, 2)
    .map(({ epoch }) => `epoch-${epoch}.safetensors`);
  for (const { folder } of [whole, second]) {
    const checkpoints = path.join(folder, "checkpoints");
    assert.deepEqual(fs.readdirSync(checkpoints).sort(), [...kept, ...NAMES].sort());
    const [best = ""] = kept;
    const bytesOf = (name: string) => fs.readFileSync(path.join(checkpoints, name));
    assert.deepEqual(bytesOf(best), bytesOf("best.safetensors"));
  }
  assert.equal(trainTask.leftovers?.(), null);
});

test("early stopping ends a trial that makes no progress, and one that goes on from there ends at once", async () => {
  const config = trialConfig({ epochs: 9, early_stopping: { patience: 2, min_delta: 1 } });
  const { trial, reports } = trialIn("early", config);
  const result = await trainTask.run(trial);
  assert.equal(result.stopped, false);
  // No step is worth 1: the first epoch stays the last progress.
  assert.deepEqual(
    reports.map(({ epoch }) => epoch),
    [1, 2, 3],
  );
  const best = Math.max(...reports.map(({ metrics }) => metrics.val_dice ?? -1));
  assert.deepEqual(result.metrics, { best_val_dice: best });
  const again = trialIn("early", config);
  assert.deepEqual(await trainTask.run(again.trial), result);
  assert.equal(again.reports.length, 0);
});

/** The phantom's data as if its labels held the classes 0, 1 and 2, of which the last is nowhere. */
function threeClasses(): string {
  const target = path.join(dir, "three-classes");
  fs.cpSync(dataset(), target, { recursive: true });
  const file = path.join(target, "info.json");
  const info = JSON.parse(fs.readFileSync(file, "utf8"));
  info.distmis.preprocessing.labels = { mode: "multiclass", classes: { 0: "background", 1: "tumour", 2: "none" } };
  fs.writeFileSync(file, JSON.stringify(info));
  return target;
}

test("a data set of several classes trains a network of as many outputs, and each class is reported", async () => {
  const data = { dir: threeClasses() };
  const config = trialConfig({ epochs: 6, learning_rate: 5e-3, loss: "dice_ce" }, { norm: "instance" }, data);
  const { trial, reports, folder } = trialIn("classes", config);
  await trainTask.run(trial);
  const [before = {}, after = {}] = [reports[0]?.metrics, reports.at(-1)?.metrics];
  assert.ok((after.val_loss ?? 9) < (before.val_loss ?? 0), "it learns");
  const { val_dice = -1, val_dice_1 = -1, val_dice_2 = -1 } = after;
  assert.ok(Math.abs(val_dice - (val_dice_1 + val_dice_2) / 2) < 1e-12);
  assert.equal(val_dice_2, 1, "neither there nor predicted");

  const input = { checkpoint: path.join(folder, "checkpoints", "last.safetensors"), split: "valid" };
  const { metrics } = await evaluateTask.run(trialIn("classes", config, { input }).trial);
  assert.equal(metrics.dice, val_dice);
  assert.equal(metrics.dice_1, val_dice_1);
  const binary = trialIn("classes", trialConfig({ epochs: 1 }), { input });
  await assert.rejects(evaluateTask.run(binary.trial), {
    code: "DATA_INVALID",
    message: /last\.safetensors: a model of 3 classes, but the labels of .* are of one foreground/,
  });
  assert.equal(trainTask.leftovers?.(), null);
});

test("volumes beyond the memory budget are read anew each epoch, and the training is the same to the last bit", async () => {
  const found = [];
  for (const cache_gigabytes of [0, 3e-5, 1]) {
    const config = trialConfig({ epochs: 2, batch_size_per_replica: 4 }, { norm: "group" }, { cache_gigabytes });
    const { trial, reports } = trialIn(`kept-${cache_gigabytes}`, config);
    await trainTask.run(trial);
    assert.equal(trainTask.leftovers?.(), null);
    found.push(metricsOf(reports));
  }
  assert.equal(found[0]?.length, 2);
  assert.deepEqual(found[1], found[0]);
  assert.deepEqual(found[2], found[0]);
});

test("read from a copy on the local disk, the training is the same to the last bit", async () => {
  const local = path.join(dir, "local");
  fs.mkdirSync(local);
  const found = [];
  for (const stage of [undefined, { dir: local }, { dir: local, limit_gigabytes: 1e-9 }]) {
    const config = trialConfig({ epochs: 2 }, {}, { stage, cache_gigabytes: 0 });
    const { trial, reports } = trialIn(`staged-${found.length}`, config);
    await trainTask.run(trial);
    found.push(metricsOf(reports));
  }
  assert.deepEqual(found[1], found[0]);
  assert.deepEqual(found[2], found[0]);
  const copied = fs.readdirSync(local, { recursive: true, encoding: "utf8" }).map((name) => path.basename(name));
  const shards = fs.readdirSync(dataset()).filter((name) => name.endsWith(".tfrecord"));
  assert.deepEqual(copied.filter((name) => name.endsWith(".tfrecord")).sort(), shards.sort());
});

test("the log says of each epoch how long it has waited for data", async (t) => {
  const log = t.mock.method(console, "log", () => {});
  await trainTask.run(trialIn("logged", trialConfig({ epochs: 2 })).trial);
  const lines = log.mock.calls.map(({ arguments: [line] }) => String(line));
  log.mock.restore();
  for (const [at, line] of lines.entries()) {
    const [, epoch, waited, all] =
      /^epoch (\d): waited (\d+\.\d{3}) s of (\d+\.\d{3}) s for data \(\d+\.\d %\)/.exec(line) ?? [];
    assert.equal(epoch, String(at + 1));
    assert.ok(Number(waited) <= Number(all), line);
  }
  assert.equal(lines.length, 2);
});

test("sides that the network can't halve are refused before training, with what to do", async () => {
  const { trial } = trialIn("deep", trialConfig({ epochs: 1 }, { depth: 4 }));
  await assert.rejects(trainTask.run(trial), (error: unknown) => {
    assert.ok(error instanceof DistmisError);
    assert.equal(error.code, "CONFIG_INVALID");
    assert.match(
      error.message,
      /model\.depth: 4 needs sides divisible by 16.*16 x 24 x 16.*--reshape auto --divisor 16/,
    );
    return true;
  });
});

test("a loss that is not a number fails the trial and leaves nothing behind", async () => {
  const { trial } = trialIn("diverged", trialConfig({ epochs: 3, learning_rate: 1e30 }, { norm: "none" }));
  await assert.rejects(trainTask.run(trial), (error: unknown) => {
    assert.ok(error instanceof DistmisError);
    assert.equal(error.code, "TRIAL_FAILED");
    assert.match(error.message, /the loss is NaN at step \d+ .*smaller train\.learning_rate/);
    return true;
  });
  assert.equal(trainTask.leftovers?.(), null);
});

test("evaluate measures a checkpoint and writes its segmentations on the sources' grid", async () => {
  const config = trialConfig({ epochs: 1 });
  const { trial, folder } = trialIn("measured", config);
  await trainTask.run(trial);
  const predictions = path.join(folder, "predictions");
  const input = { checkpoint: path.join(folder, "checkpoints", "best.safetensors"), split: "test", predictions };
  const { metrics } = await evaluateTask.run(trialIn("measured", config, { input }).trial);
  assert.equal(metrics.volumes, 2);
  assert.equal(metrics.predictions, 2);
  const { dice = -1, native_dice = -1 } = metrics;
  assert.ok(dice >= 0 && dice <= 1);
  // The phantom was not resized: both are measured on the same grid.
  assert.ok(Math.abs(dice - native_dice) < 1e-9, `${dice} and ${native_dice}`);
  const names = fs.readdirSync(predictions).filter((name) => name.endsWith(".nii.gz"));
  assert.equal(names.length, 2);
  for (const name of names) {
    const mask = await readNifti(path.join(predictions, name));
    const source = await readNifti(path.join(dir, "msd", "imagesTr", name));
    assert.deepEqual(mask.shape, source.shape.slice(0, 3));
    assert.deepEqual(mask.affine, source.affine);
  }
  assert.match(fs.readFileSync(path.join(predictions, "scores.csv"), "utf8"), /^image,label,prediction,dice\n/);
  assert.equal(evaluateTask.leftovers?.(), null);
});
