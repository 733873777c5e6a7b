import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { readNifti, readNiftiHeader, writeNifti } from "../../src/nifti/index.ts";
import { AFFINE, failure, noise, python, tempDir } from "../data/helpers.ts";

/** The file with extensions of 8 bytes before its voxels, each of which claims `size` bytes. */
function withExtensions(bytes: Buffer, count: number, size: number): Buffer {
  const extensions = Buffer.alloc(8 * count);
  for (let index = 0; index < count; index++) extensions.writeInt32LE(size, 8 * index);
  const extended = Buffer.concat([bytes.subarray(0, 352), extensions, bytes.subarray(352)]);
  extended.writeFloatLE(352 + extensions.length, 108);
  extended[348] = 1;
  return extended;
}

describe("readNifti", () => {
  /** A plain file of 4 x 3 x 2 int16 voxels with `change` applied to its bytes. */
  async function changed(dir: string, change: (bytes: Buffer) => Buffer | undefined, name = "x.nii"): Promise<string> {
    const path = join(dir, name);
    await writeNifti(join(dir, "base.nii"), {
      data: Int16Array.from({ length: 24 }, (_, i) => i - 5),
      shape: [4, 3, 2],
      affine: AFFINE,
    });
    const bytes = await readFile(join(dir, "base.nii"));
    await writeFile(path, change(bytes) ?? bytes);
    return path;
  }

  it("refuses what isn't a whole, legal volume, naming file and reason", async (t) => {
    const dir = await tempDir(t);
    const cases: [string, (bytes: Buffer) => Buffer | undefined][] = [
      ["is 0, expected 1 to 7", (b) => void b.writeInt16LE(0, 40)],
      ["is 8, expected 1 to 7", (b) => void b.writeInt16LE(8, 40)],
      ["dim[2] is -3", (b) => void b.writeInt16LE(-3, 44)],
      ["bitpix is 32", (b) => void b.writeInt16LE(32, 72)],
      ["complex64", (b) => void b.writeInt16LE(32, 70)],
      ["RGB24", (b) => void b.writeInt16LE(128, 70)],
      ["RGBA32", (b) => void b.writeInt16LE(2304, 70)],
      ["unknown datatype code 7", (b) => void b.writeInt16LE(7, 70)],
      ["vox_offset is NaN", (b) => void b.writeFloatLE(Number.NaN, 108)],
      ["vox_offset is -352", (b) => void b.writeFloatLE(-352, 108)],
      ["vox_offset is 200", (b) => void b.writeFloatLE(200, 108)],
      ["has more than 1000 header extensions", (b) => withExtensions(b, 1001, 8)],
      ["scl_inter is NaN", (b) => void b.writeFloatLE(Number.NaN, b.writeFloatLE(2, 112))],
      ['magic is "n+1 ", expected "n+1" or "ni1"', (b) => void b.writeUInt8(0x20, 347)],
      ["Analyze 7.5", (b) => void b.fill(0, 344, 348)],
      ["more than the file can hold", (b) => b.subarray(0, b.length - 1)],
      ["more than the file can hold", (b) => void b.writeInt16LE(30000, b.writeInt16LE(30000, 42))],
      ["a header alone takes 348", (b) => b.subarray(0, 100)],
      ["extension at byte 352 claims -16 bytes", (b) => withExtensions(b, 1, -16)],
    ];
    for (const [reason, change] of cases) {
      const path = await changed(dir, change);
      await assert.rejects(readNifti(path), failure("DATA_INVALID", path, reason));
    }
    await assert.rejects(readNifti(join(dir, "none.nii")), failure("FILE_UNUSABLE", "no such file"));
    const analyze = await changed(dir, (b) => void b.writeInt32BE(255, 344), "analyze.hdr");
    await assert.rejects(readNifti(analyze), failure("DATA_INVALID", analyze, "Analyze 7.5"));
    await assert.rejects(readNifti(dir), failure("FILE_UNUSABLE", "expected a file"));
    execFileSync("mkfifo", [join(dir, "pipe.nii")]);
    await assert.rejects(readNifti(join(dir, "pipe.nii")), failure("FILE_UNUSABLE", "expected a file"));
  });

  it("knows gzip by content, reads all members, and verifies the CRC", async (t) => {
    const dir = await tempDir(t);
    const plain = await readNifti(await changed(dir, () => undefined, "plain.nii.gz"));
    assert.equal(plain.gzip, false);
    const named = await readNifti(await changed(dir, (b) => gzipSync(b), "gzip.nii"));
    assert.equal(named.gzip, true);
    assert.deepEqual(named.data, plain.data);
    const members = await changed(dir, (b) => Buffer.concat([gzipSync(b.subarray(0, 360)), gzipSync(b.subarray(360))]));
    assert.deepEqual((await readNifti(members)).data, plain.data);
    const wrongCrc = await changed(dir, (b) => {
      const zipped = gzipSync(b);
      zipped.writeInt32LE(zipped.readInt32LE(zipped.length - 8) ^ 1, zipped.length - 8);
      return zipped;
    });
    await assert.rejects(readNifti(wrongCrc), failure("DATA_INVALID", wrongCrc, "gzip"));
    const claims = await changed(dir, (b) => {
      for (const at of [42, 44, 46]) b.writeInt16LE(1000, at);
      return gzipSync(b);
    });
    await assert.rejects(readNifti(claims), failure("DATA_INVALID", "more than the file can hold"));
    const short = await changed(dir, (b) => gzipSync(b.subarray(0, 380)));
    await assert.rejects(readNifti(short), failure("DATA_INVALID", "ends after 28 of the 48 voxel bytes"));
  });

  it("reads 64-bit integers beyond 2^53 as the nearest float64", async (t) => {
    const dir = await tempDir(t);
    for (const code of [1024, 1280]) {
      const stored = [0n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 53n + 3n, 2n ** 60n + 129n, 2n ** 63n - 1n];
      if (code === 1024) stored.push(-1n, -(2n ** 53n) - 1n, -(2n ** 63n));
      else stored.push(2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 1025n);
      const path = await changed(dir, (b) => {
        b.writeInt16LE(code, 70);
        b.writeInt16LE(64, 72);
        const voxels = Buffer.alloc(24 * 8);
        for (const [index, value] of stored.entries()) voxels.writeBigUInt64LE(BigInt.asUintN(64, value), 8 * index);
        return Buffer.concat([b.subarray(0, 352), voxels]);
      });
      const { data } = await readNifti(path);
      assert.deepEqual(Array.from(data.subarray(0, stored.length)), stored.map(Number));
    }
  });

  it("reads pairs by either name, all datatypes and both byte orders as nibabel writes them", async (t) => {
    const dir = await tempDir(t);
    const written = python(
      `
import json, sys, numpy as np, nibabel as nib
out = []
for cls, ext in ((nib.Nifti1Image, "nii.gz"), (nib.Nifti2Image, "nii"), (nib.Nifti1Pair, "img"), (nib.Nifti2Pair, "img")):
    for order in "<>":
        for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
            data = (np.arange(60).reshape(5, 4, 3) - (30 if dtype[0] != "u" else 0)).astype(order + dtype)
            header = cls.header_class(endianness=order)
            header.set_data_dtype(order + dtype)
            affine = np.array([[0, -2, 0, 3], [1.5, 0, 0, 4], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])
            image = cls(data, affine, header)
            image.set_sform(None, 0) if dtype[0] == "i" else None
            path = f"{sys.argv[1]}/{cls.__name__}_{'le' if order == '<' else 'be'}_{dtype}.{ext}"
            nib.save(image, path)
            out.append({"path": path, "le": order == "<", "affine": nib.load(path).affine.tolist(), "first": float(data[0, 0, 0]), "second": float(data[1, 0, 0])})
json.dump(out, sys.stdout)
`,
      dir,
    );
    assert.ok(Array.isArray(written) && written.length === 80);
    for (const { path, le, affine, first, second } of written) {
      const paths = path.endsWith(".img") ? [path, path.replace(".img", ".hdr")] : [path];
      for (const name of paths) {
        const image = await readNifti(name);
        assert.deepEqual(image.shape, [5, 4, 3]);
        assert.equal(image.littleEndian, le);
        assert.equal(image.data[0], first, name);
        assert.equal(image.data[1], second, name);
        const distance = Math.max(
          ...image.affine.flatMap((row, r) => row.map((value, c) => Math.abs(value - affine[r][c]))),
        );
        assert.ok(distance < 1e-6, `${name}: ${distance}`);
        for (const [axis, edge] of [1.5, 2, 2.5].entries())
          assert.ok(Math.abs((image.spacing[axis] ?? 0) - edge) < 1e-6);
      }
    }
  });
});

interface Seen {
  shape: number[];
  dtype: string;
  data: number[];
  affine: number[][];
  sform: number;
  qform: number;
  q: number[][] | null;
  units: string[];
}

describe("writeNifti", () => {
  it("gives files that nibabel reads, with sform and qform, and that are read back exactly", async (t) => {
    const dir = await tempDir(t);
    const [cos, sin] = [Math.cos(0.3), Math.sin(0.3)];
    const oblique = [
      [-1.2 * cos, 1.1 * sin, 0, 7],
      [1.2 * sin, 1.1 * cos, 0, -3],
      [0, 0, 2, 11],
      [0, 0, 0, 1],
    ];
    const turned = [
      [-1, 0, 0, 1],
      [0, -1, 0, 2],
      [0, 0, 4, 3],
      [0, 0, 0, 1],
    ];
    const sheared = [
      [1, 0.5, 0, 0],
      [0, 1, 0, 0],
      [0, 0, 1, 0],
      [0, 0, 0, 1],
    ];
    const volumes = [
      { data: Uint8Array.from({ length: 60 }, (_, i) => i), shape: [5, 4, 3], affine: AFFINE },
      { data: Int16Array.from({ length: 120 }, (_, i) => i - 60), shape: [5, 4, 3, 2], affine: oblique },
      { data: noise(60), shape: [5, 4, 3], affine: turned },
      { data: noise(60), shape: [5, 4, 3], affine: sheared },
    ];
    const names = volumes.map((_, index) => join(dir, `${index}.nii.gz`));
    for (const [index, volume] of volumes.entries()) await writeNifti(names[index] ?? "", volume);
    const seen = python(
      `
import json, sys, numpy as np, nibabel as nib
out = []
for path in sys.argv[1:]:
    i = nib.load(path)
    out.append({"shape": list(i.shape), "dtype": str(i.get_data_dtype()), "data": i.get_fdata().flatten(order="F").tolist(), "affine": i.affine.tolist(),
                "sform": int(i.header["sform_code"]), "qform": int(i.header["qform_code"]), "q": i.get_qform().tolist() if i.header["qform_code"] else None,
                "units": i.header.get_xyzt_units(), "zooms": [float(z) for z in i.header.get_zooms()[:3]]})
json.dump(out, sys.stdout)
`,
      ...names,
    );
    assert.ok(Array.isArray(seen));
    for (const [index, volume] of volumes.entries()) {
      const found: Seen = seen[index];
      assert.deepEqual(found.shape, volume.shape);
      assert.deepEqual(found.dtype, ["uint8", "int16", "float32", "float32"][index]);
      assert.deepEqual(found.data, Array.from(volume.data));
      assert.equal(found.sform, 1);
      assert.equal(found.qform, index === 3 ? 0 : 1);
      assert.deepEqual(found.units, ["mm", "sec"]);
      const near = (a: number[][]): void => {
        for (const [r, row] of volume.affine.entries())
          for (const [c, value] of row.entries()) assert.ok(Math.abs(value - (a[r]?.[c] ?? 0)) < 1e-5);
      };
      near(found.affine);
      if (found.q !== null) near(found.q);
      const back = await readNifti(names[index] ?? "");
      assert.deepEqual(Array.from(back.data), Array.from(volume.data));
      near(back.affine);
      assert.deepEqual((await readNiftiHeader(names[index] ?? "")).shape, volume.shape);
    }
  });

  it("refuses sizes that disagree", async (t) => {
    const path = join(await tempDir(t), "x.nii");
    await assert.rejects(
      writeNifti(path, { data: new Uint8Array(5), shape: [2, 3], affine: AFFINE }),
      failure("DATA_INVALID", "5 voxels"),
    );
    await assert.rejects(
      writeNifti("/nowhere/x.nii", { data: new Uint8Array(6), shape: [2, 3], affine: AFFINE }),
      failure("FILE_UNUSABLE"),
    );
  });
});
