import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readNifti } from "../../src/nifti/index.ts";
import { makePhantom } from "../../src/phantom/index.ts";
import { readMsdDataset } from "../../src/prepare/index.ts";
import { failure, tempDir } from "../data/helpers.ts";

describe("makePhantom", () => {
  it("makes an MSD data set, the same for the same seed", async (t) => {
    const dir = await tempDir(t);
    const options = { count: 3, shape: [24, 20, 16] as const, seed: 7 };
    await makePhantom({ ...options, targetDir: join(dir, "a") });
    await makePhantom({ ...options, targetDir: join(dir, "b"), count: 2 });
    await makePhantom({ ...options, targetDir: join(dir, "c"), seed: 8, modalities: 1 });
    const read = (which: string, name: string): Promise<Buffer> => readFile(join(dir, which, name));
    for (const name of ["imagesTr/phantom_002.nii.gz", "labelsTr/phantom_002.nii.gz"]) {
      assert.deepEqual(await read("a", name), await read("b", name));
      assert.notDeepEqual(await read("a", name), await read("c", name));
    }
    const dataset = await readMsdDataset(join(dir, "a"));
    assert.equal(dataset.pairs.length, 3);
    assert.deepEqual(dataset.modalities, ["FLAIR", "T1w", "t1gd", "T2w"]);
    const image = await readNifti(join(dir, "a", dataset.pairs[0]?.image ?? ""));
    const label = await readNifti(join(dir, "a", dataset.pairs[0]?.label ?? ""));
    assert.deepEqual(
      [image.shape, image.datatype, label.shape, label.datatype],
      [[24, 20, 16, 4], "int16", [24, 20, 16], "uint8"],
    );
    assert.deepEqual(image.affine, label.affine);
    assert.deepEqual(
      image.spacing.map((edge) => edge.toFixed(3)),
      ["1.200", "1.100", "1.500"],
    );
    assert.notEqual(image.affine[0]?.[1], 0);
    assert.deepEqual((await readNifti(join(dir, "c", "imagesTr/phantom_001.nii.gz"))).shape, [24, 20, 16]);
  });

  it("has a lesion in every volume that no single modality gives away", async (t) => {
    const dir = await tempDir(t);
    await makePhantom({ targetDir: dir, shape: [32, 32, 32] });
    const bins = 100;
    const inside = Array.from({ length: 4 }, () => new Float64Array(bins));
    const outside = Array.from({ length: 4 }, () => new Float64Array(bins));
    const sizes: number[] = [];
    for (const { image, label } of (await readMsdDataset(dir)).pairs) {
      const [values, classes] = [await readNifti(join(dir, image)), await readNifti(join(dir, label))];
      assert.deepEqual([...new Set(classes.data)].sort(), [0, 1, 2, 3]);
      const voxels = classes.data.length;
      sizes.push(classes.data.filter((value) => value > 0).length / voxels);
      for (let at = 0; at < values.data.length; at++) {
        const histogram = ((classes.data[at % voxels] ?? 0) > 0 ? inside : outside)[Math.floor(at / voxels)];
        const bin = Math.min(bins - 1, Math.floor((values.data[at] ?? 0) / 12));
        if (histogram !== undefined) histogram[bin] = (histogram[bin] ?? 0) + 1;
      }
    }
    assert.ok(Math.max(...sizes) > 2 * Math.min(...sizes) && Math.min(...sizes) > 0.004, "the lesion varies in size");
    for (const [modality, lesion] of inside.entries()) {
      // The best interval of intensities, over all volumes.
      const rest = outside[modality] ?? new Float64Array(bins);
      const total = lesion.reduce((sum, count) => sum + count, 0);
      let best = 0;
      for (let low = 0; low < bins; low++) {
        let hits = 0;
        let chosen = 0;
        for (let high = low; high < bins; high++) {
          hits += lesion[high] ?? 0;
          chosen += (lesion[high] ?? 0) + (rest[high] ?? 0);
          best = Math.max(best, (2 * hits) / (chosen + total));
        }
      }
      assert.ok(best < 0.75, `modality ${modality}: an interval of intensities alone reaches Dice ${best}`);
    }
  });

  it("is up to date the second time and replaces only what it was told to", async (t) => {
    const dir = await tempDir(t);
    const options = { targetDir: dir, count: 2, shape: [8, 8, 8] as const };
    assert.equal((await makePhantom(options)).status, "written");
    assert.equal((await makePhantom(options)).status, "up-to-date");
    await rm(join(dir, "imagesTr/phantom_001.nii.gz"));
    assert.equal((await makePhantom(options)).status, "written");
    await assert.rejects(
      makePhantom({ ...options, seed: 2 }),
      failure("FILE_UNUSABLE", dir, "another phantom", "--overwrite"),
    );
    assert.equal((await makePhantom({ ...options, count: 1, overwrite: true })).status, "written");
    assert.deepEqual(await readdir(join(dir, "imagesTr")), ["phantom_001.nii.gz"]);
    await writeFile(join(dir, "dataset.json"), "{}");
    await assert.rejects(makePhantom(options), failure("FILE_UNUSABLE", "no phantom"));
    await assert.rejects(makePhantom({ ...options, shape: [4, 8, 8] }), failure("USAGE", "--shape 4,8,8"));
    await assert.rejects(makePhantom({ ...options, modalities: 0 }), failure("USAGE", "--modalities 0"));
  });
});
