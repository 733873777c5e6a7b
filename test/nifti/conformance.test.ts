import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { inspectNifti, readNifti } from "../../src/nifti/index.ts";
import { failure, sharedData, tempDir } from "../data/helpers.ts";

/** What nibabel 5.4.2 reads of a file. */
interface Expected {
  file: string;
  nibabel: string;
  shape: number[];
  /** numpy's name: float32, or >f4 where the file is big-endian. */
  dtype: string;
  endian: string;
  slope: number;
  inter: number;
  affine: number[][];
  min: number;
  max: number;
  sum: number;
  nonfinite: number;
  sha256_f64_F: string;
}

const KINDS: Record<string, string> = { i: "int", u: "uint", f: "float" };

/** `>i2` is int16. */
function plainName(dtype: string): string {
  const [, kind = "", bytes = ""] = /^[<>]([iuf])(\d)$/.exec(dtype) ?? [];
  return kind === "" ? dtype : `${KINDS[kind]}${8 * Number(bytes)}`;
}

/** Adding 0 makes -0 equal to 0. */
const unsigned = (affine: number[][]): number[][] => affine.map((row) => row.map((value) => value + 0));

async function compare(path: string, expected: Expected): Promise<void> {
  const { file, affine, sum, spacing, orientation, ...found } = await inspectNifti(path);
  const { shape, endian, slope, inter, min, max, nonfinite, sha256_f64_F: sha256 } = expected;
  const dtype = plainName(expected.dtype);
  assert.deepEqual(found, { shape, dtype, endian, slope, inter, min, max, nonfinite, sha256 }, path);
  assert.equal(file, path);
  assert.deepEqual(unsigned(affine), unsigned(expected.affine), path);
  assert.ok(Math.abs((sum ?? Number.NaN) - expected.sum) <= 1e-9 * Math.abs(expected.sum), `${path}: ${sum}`);

  const image = await readNifti(path);
  assert.deepEqual([image.shape, image.affine, image.spacing], [shape, affine, spacing], path);
  const values = Float64Array.from(image.data);
  assert.equal(createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex"), sha256, path);
}

async function manifest(dir: string): Promise<Expected[]> {
  return JSON.parse(await readFile(join(dir, "manifest.json"), "utf8"));
}

const fixtures = join(import.meta.dirname, "../fixtures/nifti");
const shared = sharedData("nifti-conformance");

/** Files without voxels of their own, or that are no volumes, and what is said of them. */
const REFUSED: Record<string, string> = {
  "analyze.hdr": "an Analyze 7.5 header",
  "nifti1.hdr": "the image that belongs to it",
  "nifti2.hdr": "the image that belongs to it",
  "row_major.dconn.nii": "a CIFTI-2 file",
  "not-nifti.nii": "not a NIfTI file",
  // The shared folder has their headers only.
  "pair.hdr": "the image that belongs to it",
  "air.hdr.gz": "the image that belongs to it",
  "air2.hdr.gz": "the image that belongs to it",
};

async function refused(path: string, reason: string): Promise<void> {
  const code = reason.startsWith("the image") ? "FILE_UNUSABLE" : "DATA_INVALID";
  await assert.rejects(inspectNifti(path), failure(code, path, reason));
  await assert.rejects(readNifti(path), failure(code, path, reason));
}

describe("NIfTI files of nibabel and others", () => {
  it("are read as nibabel reads them, or refused by name", async () => {
    for (const expected of await manifest(fixtures)) {
      const path = join(fixtures, expected.file);
      const reason = REFUSED[expected.file];
      if (reason === undefined) await compare(path, expected);
      else await refused(path, reason);
    }
  });

  it("of the whole conformance set are read or refused", { skip: shared.skip }, async (t) => {
    const all = await manifest(shared.dir);
    const reference = all.find(({ file }) => file === "generated/ref_image_f32.nii.gz");
    assert.ok(reference !== undefined);
    // nibabel goes by the name of the first, and reads the header bytes of the second as voxels.
    const asReference = ["generated/plain_named_gz.nii.gz", "generated/vox_offset_0.nii.gz"];
    let read = 0;
    for (const expected of all) {
      const path = join(shared.dir, expected.file);
      const reason = REFUSED[basename(path)];
      if (reason !== undefined) await refused(path, reason);
      else if (basename(path).startsWith("bad_")) await refused(path, "");
      else {
        await compare(path, asReference.includes(expected.file) ? reference : expected);
        read++;
      }
    }
    assert.equal(read, 34);

    // The image of the pair holds the reference's voxels.
    const dir = await tempDir(t);
    const pair = all.find(({ file }) => file === "generated/pair.hdr");
    assert.ok(pair !== undefined);
    await copyFile(join(shared.dir, pair.file), join(dir, "pair.hdr"));
    const whole = gunzipSync(await readFile(join(shared.dir, reference.file)));
    await writeFile(join(dir, "pair.img"), whole.subarray(352));
    for (const name of ["pair.hdr", "pair.img"]) await compare(join(dir, name), pair);
  });
});
