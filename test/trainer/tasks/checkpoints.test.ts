/** What a trial leaves behind to go on from: damaged, seldom, on a full disk. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { EpochReport } from "../../../src/trainer/task.ts";
import trainTask from "../../../src/trainer/tasks/train.ts";
import { smallDisk } from "../../support/small-disk.ts";
import { dir, metricsOf, NAMES, trialConfig, trialIn } from "./phantom-trials.ts";

/** Changes a byte of the weights. */
function damage(file: string): void {
  const bytes = fs.readFileSync(file);
  bytes[bytes.length - 10] = (bytes[bytes.length - 10] ?? 0) ^ 1;
  // As a new file: best and last may be one.
  fs.rmSync(file);
  fs.writeFileSync(file, bytes);
}

test("a damaged checkpoint is said and the one before it is taken, to the same end", async (t) => {
  const config = trialConfig({ epochs: 4 });
  const whole = trialIn("undamaged", config);
  await trainTask.run(whole.trial);
  const said = t.mock.method(console, "error", () => {});
  // What is damaged, and after which of 3 epochs the trial goes on.
  for (const [name, damaged, epoch] of [
    ["last", ["last"], 2],
    ["previous", ["last", "previous"], null],
    ["all", ["last", "previous", "best"], 0],
  ] as const) {
    const first = trialIn(`damaged-${name}`, config, { stopAfter: 3 });
    await trainTask.run(first.trial);
    // An attempt that was killed as it wrote.
    fs.writeFileSync(path.join(first.folder, "checkpoints", "last.safetensors.0123.tmp"), "half");
    const previews = path.join(first.folder, "previews");
    fs.mkdirSync(previews, { recursive: true });
    fs.writeFileSync(path.join(previews, "epoch-3.png.0123.tmp"), "half");
    for (const each of damaged) damage(path.join(first.folder, "checkpoints", `${each}.safetensors`));
    said.mock.resetCalls();
    const second = trialIn(`damaged-${name}`, config);
    await trainTask.run(second.trial);
    assert.deepEqual(fs.readdirSync(path.join(first.folder, "checkpoints")).sort(), NAMES);
    assert.deepEqual(
      fs.readdirSync(previews).filter((each) => each.endsWith(".tmp")),
      [],
    );
    const lines = said.mock.calls.map(({ arguments: [line] }) => String(line));
    for (const [index, each] of damaged.entries()) {
      assert.match(
        lines[index] ?? "",
        new RegExp(`^checkpoint not used: .*${each}\\.safetensors: .*checksum is wrong`),
      );
    }
    assert.equal(
      lines[damaged.length],
      name === "all" ? "no checkpoint can be used: begins again at epoch 1" : undefined,
    );
    const best = first.reports.findLast(({ checkpoint }) => checkpoint === "checkpoints/best.safetensors")?.epoch;
    const from = (epoch ?? best ?? 0) + 1;
    assert.deepEqual(metricsOf(second.reports), metricsOf(whole.reports).slice(from - 1));
  }
});

test("where a node can't write a checkpoint for another reason, that is no fault of the trial", async () => {
  const { trial, folder, reports } = trialIn("unwritable", trialConfig({ epochs: 1 }));
  fs.writeFileSync(path.join(folder, "checkpoints"), "in the way");
  await assert.rejects(trainTask.run(trial), { code: "TRAINER_FAILED", message: /EEXIST.*unwritable\/checkpoints/ });
  assert.equal(reports.length, 0);
  assert.equal(trainTask.leftovers?.(), null);
});

test("checkpoints are one file under several names, and written as often as train.checkpoint_epochs says", async () => {
  const config = trialConfig({ epochs: 5, checkpoint_epochs: 3, keep_best: 2 });
  const { trial, reports, folder } = trialIn("seldom", config);
  await trainTask.run(trial);
  const file = (name: string) => path.join(folder, "checkpoints", `${name}.safetensors`);
  const dice = reports.map(({ metrics }) => metrics.val_dice ?? -1);
  const soFar = (epoch: number) => dice.slice(0, epoch).toSorted((a, b) => b - a);
  for (const { epoch, checkpoint } of reports) {
    const value = dice[epoch - 1] ?? -1;
    const best = soFar(epoch)[0] === value;
    const saved = epoch === 3 || epoch === 5 || value >= (soFar(epoch)[1] ?? -1);
    assert.equal(checkpoint, best ? "checkpoints/best.safetensors" : saved ? "checkpoints/last.safetensors" : "");
  }
  const [top] = soFar(5);
  const best = dice.indexOf(top ?? -1) + 1;
  assert.equal(fs.statSync(file("best")).ino, fs.statSync(file(`epoch-${best}`)).ino);
  assert.notEqual(fs.statSync(file("last")).ino, fs.statSync(file("previous")).ino);
  assert.deepEqual(
    fs.readdirSync(path.join(folder, "checkpoints")).filter((name) => name.endsWith(".tmp")),
    [],
  );

  const first = trialIn("seldom-parts", config, { stopAfter: 4 });
  await trainTask.run(first.trial);
  const second = trialIn("seldom-parts", config);
  await trainTask.run(second.trial);
  const from = second.reports[0]?.epoch ?? 0;
  assert.ok(from >= 4, "the third epoch was saved");
  assert.deepEqual(metricsOf(second.reports), metricsOf(reports).slice(from - 1));
});

test("a disk that is full stops the trial with the file's name, leaves no torn checkpoint, and is gone on from", async (t) => {
  const config = trialConfig({ epochs: 4 });
  const whole = trialIn("roomy", config);
  await trainTask.run(whole.trial);
  const size = fs.statSync(path.join(whole.folder, "checkpoints", "last.safetensors")).size;
  const disk = smallDisk(t, path.join(dir, "trials", "full"), 8);
  if (disk === null) return;
  const filler = path.join(disk, "filler");
  const first = trialIn("full", config);
  const report = first.trial.report;
  const full = {
    ...first.trial,
    report: async (value: EpochReport) => {
      await report(value);
      // Room for half a checkpoint.
      const { bavail, bsize } = fs.statfsSync(disk);
      if (value.epoch === 1) fs.writeFileSync(filler, Buffer.alloc(bavail * bsize - size / 2));
    },
  };
  await assert.rejects(trainTask.run(full), {
    code: "DISK_FULL",
    message: /trials\/full\/checkpoints\/(best|last)\.safetensors: the disk is full, .*ENOSPC/,
  });
  assert.equal(first.reports.length, 1);
  assert.deepEqual(
    fs.readdirSync(path.join(disk, "checkpoints")).filter((name) => name.endsWith(".tmp")),
    [],
  );
  fs.rmSync(filler);
  const second = trialIn("full", config);
  await trainTask.run(second.trial);
  assert.deepEqual(metricsOf([...first.reports, ...second.reports]), metricsOf(whole.reports));
});
