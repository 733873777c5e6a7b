/** `distmis evaluate`: folders in; a table, JSON and CSV out. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { evaluateFolders, evaluationTable, writeEvaluationCsv } from "../../src/index.ts";
import { writeNifti } from "../../src/nifti/index.ts";
import { AFFINE, failure, tempDir } from "../data/helpers.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Of AFFINE: 2 x 1.5 x 3 mm. */
const VOXEL_ML = 9 / 1000;

async function write(dir: string, name: string, data: number[] | Float32Array, affine = AFFINE): Promise<string> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, name);
  const voxels = data instanceof Float32Array ? data : Uint8Array.from(data);
  await writeNifti(file, { data: voxels, shape: [4, 2, 1], affine });
  return file;
}

/** Two cases: "a" with the classes 1 and 3, "b" with class 1 alone. */
async function folders(t: TestContext) {
  const dir = await tempDir(t);
  const [predictions, labels] = [join(dir, "predictions"), join(dir, "labels")];
  // Rows of x; y below.
  await write(labels, "a.nii", [1, 1, 0, 0, 3, 3, 0, 0]);
  await write(predictions, "a.nii.gz", [1, 1, 1, 0, 0, 3, 0, 0]);
  await write(labels, "b.nii.gz", [0, 0, 0, 0, 0, 0, 0, 1]);
  await write(predictions, "b.nii.gz", [0, 0, 0, 0, 0, 0, 0, 0]);
  return { dir, predictions, labels };
}

test("scores of each case and class, and their means over what is defined", async (t) => {
  const { predictions, labels } = await folders(t);
  const seen: string[] = [];
  const result = await evaluateFolders({ predictions, labels }, (done, total) => seen.push(`${done}/${total}`));
  assert.deepEqual(seen, ["1/2", "2/2"]);
  assert.deepEqual(result.classes, [1, 3]);
  const [a, b] = result.cases;
  assert.deepEqual([a?.case, a?.prediction, a?.label], ["a", join(predictions, "a.nii.gz"), join(labels, "a.nii")]);
  // 95th percentile of the distances 0, 0, 2.
  const one = { dice: 0.8, iou: 2 / 3, sensitivity: 1, precision: 2 / 3, volume_difference_ml: VOXEL_ML };
  const { hd95_mm, ...rest } = a?.classes["1"] ?? {};
  assert.deepEqual(rest, one);
  assert.ok(Math.abs((hd95_mm ?? 0) - 1.8) < 1e-12);
  assert.deepEqual(a?.classes["3"], {
    dice: 2 / 3,
    iou: 0.5,
    sensitivity: 0.5,
    precision: 1,
    volume_difference_ml: -VOXEL_ML,
    hd95_mm: 1.9,
  });
  assert.deepEqual(b?.classes, {
    1: { dice: 0, iou: 0, sensitivity: 0, precision: null, volume_difference_ml: -VOXEL_ML, hd95_mm: null },
    3: { dice: 1, iou: 1, sensitivity: 1, precision: 1, volume_difference_ml: 0, hd95_mm: 0 },
  });
  assert.equal(b.foreground.dice, 0.5);
  assert.equal(b.foreground.hd95_mm, 0, "over what is defined");
  const { classes, foreground } = result.mean;
  assert.deepEqual([classes["1"]?.dice, classes["1"]?.precision], [0.4, 2 / 3]);
  assert.ok(Math.abs((foreground.dice ?? 0) - (0.4 + 5 / 6) / 2) < 1e-12);
  assert.match(evaluationTable(result), /│ mean\s+│ foreground\s+│ 0\.6167 │/);

  assert.deepEqual(result.notes, []);
  await write(predictions, "a.nii.gz", [1, 1, 1, 0, 0, 1, 0, 0]);
  const binary = await evaluateFolders({ predictions, labels });
  assert.match(binary.notes.join(), /hold class 1 alone, the labels 1, 3: .*--merge/);
  const merged = await evaluateFolders({ predictions, labels, merge: true });
  assert.deepEqual(merged.notes, []);
  assert.deepEqual(merged.classes, [1]);
  assert.equal(merged.cases[0]?.foreground.dice, 6 / 8);

  await write(predictions, "a.nii.gz", [0, 0, 0, 0, 0, 0, 0, 0]);
  const empty = await evaluateFolders({ predictions, labels });
  assert.match(empty.notes.join(), /^the predictions are empty/);
});

test("prints JSON, writes CSV, and exits with 2 for folders that don't fit", async (t) => {
  const { dir, predictions, labels } = await folders(t);
  const distmis = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", join(ROOT, "src/cli/main.ts"), "evaluate", ...args], {
      encoding: "utf8",
      cwd: ROOT,
      timeout: 60_000,
    });
  const csv = join(dir, "tables", "scores.csv");
  const good = distmis("--predictions", predictions, "--labels", labels, "--json", "--csv", csv);
  assert.equal(good.status, 0, good.stderr);
  assert.deepEqual(JSON.parse(good.stdout), await evaluateFolders({ predictions, labels }));
  const lines = (await readFile(csv, "utf8")).trimEnd().split("\n");
  assert.equal(lines[0], "case,class,class_name,dice,iou,sensitivity,precision,volume_difference_ml,hd95_mm");
  assert.equal(lines.length, 1 + 3 * 3);
  assert.match(lines[4] ?? "", /^b,1,,0,0,0,,-0\.009,$/);
  assert.match(lines[9] ?? "", /^mean,foreground,,0\.616/);
  const bad = distmis("--predictions", predictions, "--labels", join(dir, "nowhere"));
  assert.deepEqual([bad.status, bad.stdout], [2, ""]);
  assert.equal(bad.stderr, `distmis: ${join(dir, "nowhere")}: does not exist\n`);
});

test("classes are called what the data set calls them", async (t) => {
  const { dir, predictions, labels } = await folders(t);
  const evaluate = (more: object = {}) => evaluateFolders({ predictions, labels, ...more });
  assert.deepEqual((await evaluate()).names, {});
  const beside = join(dir, "dataset.json");
  await writeFile(
    beside,
    JSON.stringify({ labels: { 0: "background", 1: "edema", 2: "necrosis", 3: "tumour, enhancing" } }),
  );
  const result = await evaluate();
  assert.deepEqual(result.names, { 1: "edema", 3: "tumour, enhancing" });
  assert.match(evaluationTable(result), /│ mean\s+│ 1 edema\s+│/);
  const csv = join(dir, "named.csv");
  await writeEvaluationCsv(csv, result);
  const lines = (await readFile(csv, "utf8")).split("\n");
  assert.match(lines[2] ?? "", /^a,3,"tumour, enhancing",0\.66/);
  assert.match(lines[3] ?? "", /^a,foreground,,/);
  assert.deepEqual((await evaluate({ merge: true })).names, {}, "all classes as one have no name");

  const datasetJson = join(dir, "nnunet.json");
  await writeFile(datasetJson, JSON.stringify({ labels: { background: 0, Ödem: 1, whole: [1, 2, 3] } }));
  assert.deepEqual((await evaluate({ datasetJson })).names, { 1: "Ödem" });
  for (const [text, why] of [
    ["{}", 'field "labels"'],
    ['{"labels": {"1": null}}', 'found {"1":null}'],
    ["[", "not JSON"],
  ] as const) {
    await writeFile(datasetJson, text);
    await assert.rejects(evaluate({ datasetJson }), failure("DATA_INVALID", datasetJson, why));
  }
  await assert.rejects(evaluate({ datasetJson: dir }), failure("FILE_UNUSABLE", dir));
  await writeFile(beside, '{"name": "of another program"}');
  assert.deepEqual((await evaluate()).names, {});
});

test("refuses what has no counterpart, another grid or voxels that are no class, naming the files", async (t) => {
  const { predictions, labels } = await folders(t);
  const refused = (...expected: Parameters<typeof failure>) =>
    assert.rejects(evaluateFolders({ predictions, labels }), failure(...expected));
  const label = await write(labels, "c.nii.gz", [1, 1, 0, 0, 0, 0, 0, 0]);
  await refused("FILE_UNUSABLE", label, predictions, "no prediction of that name", "--partial");
  assert.equal((await evaluateFolders({ predictions, labels, partial: true })).cases.length, 2);

  const moved = AFFINE.map((row, index) => (index === 0 ? [-2.5, 0, 0, 10] : row));
  const prediction = await write(predictions, "c.nii.gz", [1, 0, 0, 0, 0, 0, 0, 0], moved);
  await refused("DATA_INVALID", prediction, label, "affines");
  await write(predictions, "c.nii.gz", Float32Array.of(0.5, 0, 0, 0, 0, 0, 0, 0));
  await refused("DATA_INVALID", prediction, "voxel 0 is 0.5");
  await write(predictions, "c.nii.gz", [1, 0, 0, 0, 0, 0, 0, 0]);
  const extra = await write(predictions, "d.nii.gz", [1, 0, 0, 0, 0, 0, 0, 0]);
  await refused("FILE_UNUSABLE", extra, labels, "no label of its name");
  await copyFile(label, join(labels, "c.nii"));
  await refused("DATA_INVALID", join(labels, "c.nii"), label, "two files of one name");
});
