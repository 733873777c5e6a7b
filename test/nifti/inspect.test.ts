import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { inspectNifti, type NiftiInspection, orientationOf, writeNifti } from "../../src/nifti/index.ts";
import { AFFINE, python, tempDir } from "../data/helpers.ts";

/** What nibabel says of a file, in inspectNifti's terms; its sum is math.fsum's. */
type Truth = Omit<NiftiInspection, "file" | "spacing">;

const WRITE_AND_READ = `
import hashlib, json, math, os, sys
import numpy as np, nibabel as nib

rng = np.random.default_rng(7)
def numbers(dtype, count):
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        return np.frombuffer(rng.bytes(count * kind.itemsize), kind)
    if kind.itemsize == 4:
        bits = rng.integers(0, 2**32, count, dtype=np.uint32)
        # NaN of either sign, quiet and signalling, with payloads; -0; both infinities; the least denormal.
        bits[:8] = [0x7FC00001, 0xFFC12345, 0x7F800001, 0xFF923456, 0x80000000, 0x7F800000, 0xFF800000, 1]
        return bits.view("=f4") if kind.isnative else bits.byteswap().view(kind)
    values = rng.normal(size=count) * 10.0 ** rng.integers(-30, 30, count)
    values[:4] = [np.nan, -0.0, np.inf, 5e-324]
    return values.astype(kind)

shapes = [(9,), (5, 3), (5, 4, 3), (5, 4, 3, 2), (3, 2, 2, 2, 3), (2, 3, 2, 1, 2, 2), (2, 1, 2, 3, 2, 1, 2)]
scalings = [(1, 0), (2, 0), (0.1, -3.7), (-1.5, 0), (0, 7), (np.nan, 1), (np.inf, 1), (1, 0.25)]
out, index = [], 0
for cls in (nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair, nib.Nifti2Pair):
    for order in "<>":
        for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
            for case in range(2):
                shape, (slope, inter) = shapes[index % 7], scalings[index % 8]
                header = cls.header_class(endianness=order)
                header.set_data_dtype(order + dtype)
                header.set_data_shape(shape)
                affine = np.eye(4)
                affine[:3] = rng.normal(size=(3, 4)) * [1, 2, 3, 50]
                header.set_sform(affine if case == 0 else None, case == 0)
                header.set_qform(np.diag([-1.5, 2, 2.5, 1]) if index % 3 else None, index % 3)
                header["scl_slope"], header["scl_inter"] = slope, inter
                pair = "Pair" in cls.__name__
                offset = (0, 16, 1024)[index % 3] + (0 if pair else header.single_vox_offset)
                header["vox_offset"] = offset
                header["magic"] = header.pair_magic if pair else header.single_magic
                raw = numbers(order + dtype, math.prod(shape)).tobytes()
                base = f"{sys.argv[1]}/{index}"
                index += 1
                if pair:
                    open(base + ".hdr", "wb").write(header.binaryblock)
                    open(base + ".img", "wb").write(b"\\x55" * offset + raw)
                else:
                    front = header.binaryblock + bytes(4)
                    open(base + ".nii", "wb").write(front + b"\\x55" * (offset - len(front)) + raw)
                path = base + (".img" if pair else ".nii")
                image = nib.load(path)
                with np.errstate(all="ignore"):
                    data = image.get_fdata(dtype=np.float64)
                finite = data[np.isfinite(data)].tolist()
                out.append({
                    "file": path, "shape": list(image.shape), "dtype": np.dtype(dtype).name, "endian": order,
                    "slope": float(image.dataobj.slope), "inter": float(image.dataobj.inter), "affine": image.affine.tolist(),
                    "orientation": "".join(nib.aff2axcodes(image.affine)),
                    "min": min(finite), "max": max(finite), "sum": math.fsum(finite), "nonfinite": data.size - len(finite),
                    "sha256": hashlib.sha256(data.astype("<f8").tobytes(order="F")).hexdigest()})
json.dump(out, sys.stdout)
`;

describe("inspectNifti", () => {
  it("agrees with nibabel over datatypes, byte orders, ranks, offsets, scalings and odd numbers", async (t) => {
    const written = python(WRITE_AND_READ, await tempDir(t));
    assert.ok(Array.isArray(written) && written.length === 160);
    for (const { file, affine, sum, ...exact } of written as (Truth & { file: string })[]) {
      const found = await inspectNifti(file);
      const { file: named, spacing, affine: foundAffine, sum: foundSum, ...rest } = found;
      assert.equal(named, file);
      assert.deepEqual(rest, exact, file);
      assert.ok(Math.abs((foundSum ?? 0) - (sum ?? 0)) <= 1e-12 * Math.abs(sum ?? 0), `${file}: ${foundSum}, ${sum}`);
      for (const [r, row] of affine.entries()) {
        for (const [c, value] of row.entries()) {
          assert.ok(Math.abs((foundAffine[r]?.[c] ?? 0) - value) <= 1e-6 * Math.max(1, Math.abs(value)), file);
        }
      }
      for (const [axis, edge] of spacing.entries()) {
        const length = Math.hypot(...[0, 1, 2].map((row) => affine[row]?.[axis] ?? 0));
        assert.ok(Math.abs(edge - length) < 1e-5, `${file}: spacing ${spacing}`);
      }
      if (file.endsWith(".img")) {
        const header = file.replace(".img", ".hdr");
        assert.deepEqual(await inspectNifti(header), { ...found, file: header });
      }
    }
  });

  it("reads a volume of many blocks as it reads a small one", async (t) => {
    const dir = await tempDir(t);
    const data = Float32Array.from({ length: 400_000 }, (_, index) => (index % 7) - 3);
    const volume = { data, shape: [100, 80, 50], affine: AFFINE };
    await writeNifti(join(dir, "x.nii.gz"), volume);
    const found = await inspectNifti(join(dir, "x.nii.gz"));
    assert.equal(
      found.sum,
      volume.data.reduce((sum, value) => sum + value, 0),
    );
    assert.deepEqual([found.min, found.max, found.orientation, found.spacing], [-3, 3, "LAS", [2, 1.5, 3]]);
  });

  it("says null where no voxel is finite", async (t) => {
    const path = join(await tempDir(t), "x.nii");
    await writeNifti(path, { data: new Float32Array(8).fill(Number.NaN), shape: [2, 2, 2], affine: AFFINE });
    const { min, max, sum, nonfinite } = await inspectNifti(path);
    assert.deepEqual({ min, max, sum, nonfinite }, { min: null, max: null, sum: null, nonfinite: 8 });
  });

  it("finds the other file of a pair in capitals, and gzipped", async (t) => {
    const dir = await tempDir(t);
    await mkdir(join(dir, "pair"));
    python(
      `
import gzip, sys, numpy as np, nibabel as nib
nib.save(nib.Nifti1Pair(np.arange(24, dtype="i2").reshape(2, 3, 4), np.eye(4)), sys.argv[1] + "/x.img")
open(sys.argv[1] + "/y.img.gz", "wb").write(gzip.compress(open(sys.argv[1] + "/x.img", "rb").read()))
print("null")
`,
      dir,
    );
    await copyFile(join(dir, "x.hdr"), join(dir, "y.hdr"));
    await copyFile(join(dir, "x.hdr"), join(dir, "pair", "X.HDR"));
    await copyFile(join(dir, "x.img"), join(dir, "pair", "X.IMG"));
    const expected = await inspectNifti(join(dir, "x.img"));
    for (const file of ["x.hdr", "y.hdr", "y.img.gz", "pair/X.HDR", "pair/X.IMG"]) {
      assert.deepEqual(await inspectNifti(join(dir, file)), { ...expected, file: join(dir, file) });
    }
    // The CRC of a gzipped header is verified although its voxels lie elsewhere.
    const zipped = gzipSync(await readFile(join(dir, "x.hdr")));
    zipped[zipped.length - 8] = (zipped[zipped.length - 8] ?? 0) ^ 1;
    await writeFile(join(dir, "z.hdr.gz"), zipped);
    await copyFile(join(dir, "x.img"), join(dir, "z.img"));
    await assert.rejects(inspectNifti(join(dir, "z.hdr.gz")), /z\.hdr\.gz: the gzip stream is damaged/);
  });
});

describe("orientationOf", () => {
  it("is nibabel's aff2axcodes", () => {
    const cases = python(`
import json, sys, numpy as np, nibabel as nib
rng = np.random.default_rng(3)
out = []
for index in range(500):
    affine = np.eye(4)
    affine[:3] = rng.normal(size=(3, 4)) * rng.choice([0.3, 1, 5], size=4)
    if index % 2:
        affine[:3, :3] = np.linalg.qr(affine[:3, :3])[0] * [0.5, 2, 7]
    out.append([affine.tolist(), "".join(nib.aff2axcodes(affine))])
for permutation in ([0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]):
    for signs in np.ndindex(2, 2, 2):
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[:, permutation] * (1 - 2 * np.array(signs)) * [1, 2, 3]
        out.append([affine.tolist(), "".join(nib.aff2axcodes(affine))])
json.dump(out, sys.stdout)
`);
    assert.ok(Array.isArray(cases) && cases.length === 548);
    for (const [affine, codes] of cases) assert.equal(orientationOf(affine), codes, JSON.stringify(affine));
  });

  it("is null where an axis runs nowhere", () => {
    assert.equal(
      orientationOf([
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 5],
        [0, 0, 0, 1],
      ]),
      null,
    );
    assert.equal(
      orientationOf([
        [1, 2, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 3, 5],
        [0, 0, 0, 1],
      ]),
      null,
    );
  });
});
