/** The segmentations of validation cases that a trial keeps. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { PNG } from "pngjs";
import { moveFirstAxisFirst } from "../../../src/data/index.ts";
import { readNifti } from "../../../src/nifti/index.ts";
import { loadSample } from "../../../src/picture/index.ts";
import { writeTfrecords } from "../../../src/prepare/index.ts";
import { previewFiles, readPreviews } from "../../../src/run-folder/index.ts";
import trainTask from "../../../src/trainer/tasks/train.ts";
import { dataset, dir, trialConfig, trialIn } from "./phantom-trials.ts";

/** Mean over the classes that the truth or the prediction has, as the validation's Dice. */
function dice(prediction: ArrayLike<number>, truth: ArrayLike<number>, classes: readonly number[]): number {
  const each = classes.map((value) => {
    let [common, sum] = [0, 0];
    for (let at = 0; at < truth.length; at++) {
      const [p, t] = [prediction[at] === value, truth[at] === value];
      if (p && t) common++;
      sum += Number(p) + Number(t);
    }
    return sum === 0 ? 1 : (2 * common) / sum;
  });
  return each.reduce((sum, value) => sum + value, 0) / each.length;
}

for (const labels of ["binary", "multiclass"] as const) {
  test(`the first cases are kept at each improvement, as the validation saw them: ${labels}`, async () => {
    const records = labels === "binary" ? dataset() : path.join(dir, "multiclass");
    if (labels === "multiclass") {
      await writeTfrecords({ sourceDir: path.join(dir, "msd"), targetDir: records, labels, split: [0.6, 0.2, 0.2] });
    }
    const config = trialConfig({ epochs: 4, previews: 1, learning_rate: 5e-3 }, {}, { dir: records });
    const { trial, reports, folder } = trialIn(`previews-${labels}`, config);
    await trainTask.run(trial);
    const kept = await readPreviews(dir, `previews-${labels}`);
    const improvements = reports.filter(({ checkpoint }) => checkpoint === "checkpoints/best.safetensors");
    assert.deepEqual(
      kept.map(({ epoch }) => epoch),
      improvements.map(({ epoch }) => epoch),
    );
    const sample = await loadSample({ datasetDir: records, sample: 0, split: "valid" });
    const truth = moveFirstAxisFirst(Float32Array.from(sample.truth?.values ?? []), sample.shape);
    const classes = [...(sample.truth?.names.keys() ?? [])].filter((value) => value > 0);
    // Epochs are too short here for more than the first picture.
    const picture = PNG.sync.read(fs.readFileSync(path.join(folder, previewFiles.picture(kept[0]?.epoch ?? 0))));
    assert.ok(picture.width > picture.height && picture.height > 100, "three planes beside each other");
    for (const { epoch, dice: told, cases } of kept) {
      assert.deepEqual([cases, told.length], [[0], 2]);
      const report = reports.find((each) => each.epoch === epoch);
      const mean = told.reduce<number>((sum, value) => sum + (value ?? 0), 0) / told.length;
      assert.ok(Math.abs(mean - (report?.metrics.val_dice ?? 0)) < 1e-6);
      const { data, shape } = await readNifti(path.join(folder, previewFiles.volume(epoch, 0)));
      assert.deepEqual([...shape], sample.shape);
      assert.ok(Math.abs(dice(data, truth, classes) - (told[0] ?? 0)) < 1e-6, `epoch ${epoch}`);
    }
  });
}

test("with train.previews 0 nothing is kept", async () => {
  const { trial, folder } = trialIn("no-previews", trialConfig({ epochs: 1, previews: 0 }));
  await trainTask.run(trial);
  assert.ok(!fs.existsSync(path.join(folder, previewFiles.dir)));
});
