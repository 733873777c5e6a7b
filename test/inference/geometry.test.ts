/** Files of any orientation and shape through preprocessing, a network and back: what nibabel reads lies where the source lay. */
import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Preprocessing, preprocessingSchema } from "../../src/data/index.ts";
import { type Ensemble, predictFile } from "../../src/inference/index.ts";
import { addProbabilities } from "../../src/inference/windows.ts";
import { python, tempDir } from "../data/helpers.ts";

/** Bright is foreground: a network of one voxel, on windows of the recipe's shape. */
function bright(recipe: Preprocessing, outputs: 1 | 3): Ensemble {
  return {
    recipe,
    probabilities: async ({ image, shape }) => {
      const [channels, ...volume] = shape;
      const sum = new Float32Array(volume[0] * volume[1] * volume[2] * outputs);
      const network = (tile: Float32Array) =>
        Float32Array.from({ length: (tile.length / channels) * outputs }, (_, at) => {
          const value = tile[Math.floor(at / outputs) * channels] ?? 0;
          const foreground = 1 / (1 + Math.exp(-8 * (value - 1)));
          return outputs === 1 ? foreground : ([1 - foreground, 0, foreground][at % 3] ?? 0);
        });
      await addProbabilities(network, { image, shape }, recipe.shape, 0.5, 1, sum, () => {});
      return sum;
    },
  };
}

/**
 * Bright balls in noise with their labels, each on a grid of its own: oblique, flipped, with shear, with qform and sform of different
 * codes and content, or none, in metres, as NIfTI-2 and as a pair.
 */
const SOURCES = `
import json, os, sys, numpy as np, nibabel as nib
folder = sys.argv[1]
os.makedirs(f"{folder}/images"); os.makedirs(f"{folder}/labels")
rng = np.random.default_rng(1)
def rotation(a, b, c):
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z
def affine(matrix, zooms, shape):
    a = np.eye(4); a[:3, :3] = matrix @ np.diag(zooms); a[:3, 3] = [12.5, -30, 7] - a[:3, :3] @ np.array(shape) / 2
    return a
cases = {
    "plain": dict(shape=(28, 30, 26), zooms=(2, 2, 2), matrix=np.diag([-1, -1, 1]), codes=(1, 1)),
    "oblique": dict(shape=(24, 40, 20), zooms=(2.5, 1.5, 3), matrix=rotation(0.3, -0.2, 0.4), codes=(1, 1)),
    "flipped": dict(shape=(40, 20, 30), zooms=(1.5, 3, 2), matrix=rotation(0.2, 0.1, -0.3)[:, [2, 0, 1]] @ np.diag([1, -1, -1]), codes=(3, 4)),
    "qform": dict(shape=(26, 28, 30), zooms=(2, 2, 2), matrix=rotation(-0.4, 0.3, 0.1) @ np.diag([1, 1, -1]), codes=(2, 0)),
    "sform": dict(shape=(26, 28, 30), zooms=(2, 2, 2), matrix=rotation(-0.4, 0.3, 0.1), codes=(0, 2)),
    "shear": dict(shape=(26, 28, 30), zooms=(2, 2, 2), matrix=rotation(0.1, 0.1, 0.1) @ np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]]), codes=(0, 1)),
    "none": dict(shape=(26, 28, 30), zooms=(2, 2, 2), matrix=np.diag([-1, 1, 1]), codes=(0, 0)),
    "differ": dict(shape=(26, 28, 30), zooms=(2, 2, 2), matrix=rotation(0.2, 0, 0), codes=(1, 2)),
    "metres": dict(shape=(26, 28, 30), zooms=(0.002, 0.002, 0.002), matrix=np.diag([1, -1, 1]), codes=(1, 1), units="meter"),
    "nifti2": dict(shape=(26, 28, 30), zooms=(2, 2, 2), matrix=rotation(0.3, 0.3, 0.3), codes=(1, 1), kind=nib.Nifti2Image),
}
for name, case in cases.items():
    shape = case["shape"]
    a = affine(case["matrix"], case["zooms"], shape)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    distance = np.linalg.norm((index - np.array(shape) * [0.4, 0.6, 0.45]) * case["zooms"], axis=-1)
    label = (distance < (0.014 if case.get("units") else 14)).astype("u1") * 3
    image = np.stack([rng.normal(0, 10, shape), 300 * (label > 0) + rng.normal(0, 10, shape)], -1).astype("f4")
    for kind, data in (("images", image), ("labels", label)):
        nifti = case.get("kind", nib.Nifti1Image)(data, a)
        q, s = case["codes"]
        nifti.set_sform(a, s)
        # Where there is a qform beside a leading sform, it may well say something else.
        nifti.set_qform(affine(rotation(0, 0.1, 0), case["zooms"], shape) if name == "differ" else a, q, strip_shears=True)
        nifti.header.set_xyzt_units(case.get("units", "mm"), "sec")
        nib.save(nifti, f"{folder}/{kind}/{name}.nii.gz")
json.dump(list(cases), sys.stdout)
`;

/** What differs between the grids of source and output, by nibabel. */
const COMPARE = `
import json, os, sys, numpy as np, nibabel as nib
images, *folders = sys.argv[1:]
found = []
for folder in folders:
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".nii.gz"): continue
        a, b = nib.load(f"{images}/{name.replace('_prob', '')}"), nib.load(f"{folder}/{name}")
        def check(what, same):
            if not same: found.append(f"{folder} {name}: {what}")
        check("shape", a.shape[:3] == b.shape[:3])
        check("dtype", b.get_data_dtype() == ("<f4" if "_prob" in name else "u1"))
        check("zooms", np.array_equal(np.float32(a.header.get_zooms()[:3]), b.header.get_zooms()[:3]))
        check("units", a.header.get_xyzt_units() == b.header.get_xyzt_units())
        check("affine", np.allclose(a.affine, b.affine, atol=0, rtol=2e-7) if isinstance(a, nib.Nifti2Image) else np.array_equal(a.affine, b.affine))
        for which in ("qform", "sform"):
            (x, code), (y, other) = getattr(a, f"get_{which}")(coded=True), getattr(b, f"get_{which}")(coded=True)
            check(which + " code", code == other)
            check(which, (x is None) == (y is None) and (x is None or np.allclose(x, y, rtol=1e-6, atol=1e-6)))
json.dump(found, sys.stdout)
`;

test("a prediction of any grid lies on it, whatever the recipe", async (t) => {
  const dir = await tempDir(t);
  const names = python(SOURCES, dir) as string[];
  const recipe = (fields: object): Preprocessing =>
    preprocessingSchema.parse({
      version: 1,
      modalities: ["bright"],
      channels: [1],
      cut: null,
      resize: "tf-half-pixel",
      standardisation: "per-modality",
      ...fields,
    });
  const binary = { labels: { mode: "binary", classes: { 0: "background", 3: "ball" } } };
  const multiclass = { labels: { mode: "multiclass", classes: { 0: "background", 1: "other", 3: "ball" } } };
  const runs = [
    { recipe: recipe({ ...binary, shape: [32, 24, 24] }), atLeast: 0.9 },
    { recipe: recipe({ ...binary, fit: "pad-or-crop", shape: [16, 16, 48] }), atLeast: 0.99 },
    { recipe: recipe({ ...multiclass, fit: "pad-or-crop", orientation: "RAS", shape: [24, 48, 16] }), atLeast: 0.99 },
    {
      recipe: recipe({
        ...multiclass,
        fit: "pad-or-crop",
        orientation: "SLP",
        spacing: [2.2, 1.7, 1.9],
        shape: [16, 32, 24],
      }),
      atLeast: 0.95,
    },
  ];
  const folders: string[] = [];
  for (const [index, { recipe, atLeast }] of runs.entries()) {
    const models = bright(recipe, recipe.labels.mode === "binary" ? 1 : 3);
    const output = join(dir, String(index));
    await mkdir(output);
    folders.push(output, join(output, "probabilities"));
    for (const name of names) {
      const { dice } = await predictFile(models, join(dir, "images", `${name}.nii.gz`), output, {
        labelFile: join(dir, "labels", `${name}.nii.gz`),
        probabilities: true,
      });
      const found = recipe.labels.mode === "binary" ? dice?.mean : dice?.classes[3];
      assert.ok((found ?? 0) > atLeast, `${index} ${name}: Dice ${found}`);
    }
    assert.equal((await readdir(join(output, "probabilities"))).length, names.length);
  }
  assert.deepEqual(python(COMPARE, join(dir, "images"), ...folders), []);
});

test("probabilities are those that the segmentation was decided by", async (t) => {
  const dir = await tempDir(t);
  python(SOURCES, dir);
  const labels = { mode: "multiclass", classes: { 0: "background", 1: "other", 3: "ball" } };
  const recipe = preprocessingSchema.parse({
    version: 1,
    modalities: ["bright"],
    channels: [1],
    orientation: "LPS",
    cut: null,
    spacing: [3, 3, 3],
    shape: [8, 16, 8],
    fit: "pad-or-crop",
    resize: "tf-half-pixel",
    standardisation: "per-modality",
    labels,
  });
  const { file, probabilities } = await predictFile(bright(recipe, 3), join(dir, "images/oblique.nii.gz"), dir, {
    probabilities: true,
  });
  const check = `
import json, sys, numpy as np, nibabel as nib
mask, p = (np.asarray(nib.load(f).dataobj) for f in sys.argv[1:])
json.dump({"shape": p.shape, "same": bool((np.array([0, 1, 3])[p.argmax(-1)] == mask).all()), "off": float(abs(p.sum(-1) - 1).max()), "values": np.unique(mask).tolist()}, sys.stdout)
`;
  const found = python(check, file, probabilities ?? "") as {
    shape: number[];
    same: boolean;
    off: number;
    values: number[];
  };
  assert.deepEqual(
    { ...found, off: found.off < 1e-5 },
    { shape: [24, 40, 20, 3], same: true, off: true, values: [0, 3] },
  );
});
