import assert from "node:assert/strict";
import { open, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { inspectNifti, writeNifti } from "../../src/nifti/index.ts";
import { AFFINE, python, sharedData, tempDir } from "../data/helpers.ts";

const root = path.join(import.meta.dirname, "../..");
const fixture = (name: string): string => path.join(root, "test/fixtures/nifti", name);

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
  /** Most memory that the process had. */
  rss_mb: number;
}

/** Runs `distmis inspect` once for each list of arguments. */
function inspect(runs: string[][]): Ended[] {
  const command = [process.execPath, "--import", import.meta.resolve("tsx"), path.join(root, "src/cli/main.ts")];
  const ended = python(
    `
import json, os, subprocess, sys, tempfile
command, runs = json.loads(sys.argv[1])
out = []
for arguments in runs:
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        child = subprocess.Popen([*command, "inspect", *arguments], stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(child.pid, 0)
        stdout.seek(0), stderr.seek(0)
        out.append({"code": os.waitstatus_to_exitcode(status), "stdout": stdout.read(), "stderr": stderr.read(),
                    "rss_mb": usage.ru_maxrss / 1024})
json.dump(out, sys.stdout)
`,
    JSON.stringify([command, runs]),
  );
  assert.ok(Array.isArray(ended) && ended.length === runs.length);
  return ended;
}

const MOST_MB = 300;

describe("distmis inspect", () => {
  it("prints one line of JSON for each file, and goes on behind one that is refused", async (t) => {
    const missing = path.join(await tempDir(t), "none.nii");
    const files = [fixture("standard.nii.gz"), fixture("analyze.hdr"), missing, fixture("functional.nii")];
    const [ended] = inspect([["--json", ...files]]);
    assert.ok(ended !== undefined);
    assert.equal(ended.code, 2);
    const lines = ended.stdout.trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      JSON.parse(JSON.stringify([await inspectNifti(files[0] ?? ""), await inspectNifti(files[3] ?? "")])),
    );
    assert.deepEqual(Object.keys(JSON.parse(lines[0] ?? "")), [
      ...["file", "shape", "dtype", "endian", "slope", "inter", "affine", "spacing", "orientation"],
      ...["min", "max", "sum", "nonfinite", "sha256"],
    ]);
    const problems = ended.stderr.trimEnd().split("\n");
    assert.equal(problems.length, 2, ended.stderr);
    assert.ok(problems[0]?.startsWith(`distmis: ${files[1]}: an Analyze 7.5 header`), ended.stderr);
    assert.ok(problems[1]?.startsWith(`distmis: ${missing}: there is no such file`), ended.stderr);
  });

  it("prints a block for people, and says how it is used", async () => {
    const [people, without] = inspect([[fixture("functional.nii"), fixture("resampled_anat_moved.nii")], []]);
    assert.equal(people?.code, 0, people?.stderr);
    const blocks = people?.stdout.split("\n\n") ?? [];
    assert.equal(blocks.length, 2);
    assert.match(blocks[0] ?? "", /shape +17 x 21 x 3 x 20\n/);
    assert.match(blocks[0] ?? "", /stored as +int16, little-endian, value = 0\.0754\d* \* stored \+ 3100\.76171875\n/);
    assert.match(blocks[1] ?? "", /values +min 409\.3\d*, max .* of the finite ones; 153 are NaN or infinite\n/);
    assert.equal(without?.code, 2);
    assert.equal(without?.stdout, "");
  });

  it("needs no more memory for a large volume than for a small one", async (t) => {
    const large = path.join(await tempDir(t), "large.nii");
    await writeNifti(large, { data: new Uint8Array(1), shape: [1, 1, 1, 1], affine: AFFINE });
    // 512 MiB of float64, of which the disk holds nothing.
    const file = await open(large, "r+");
    const header = Buffer.alloc(352);
    await file.read(header, 0, 352, 0);
    for (const [axis, size] of [1024, 1024, 64, 1].entries()) header.writeInt16LE(size, 42 + 2 * axis);
    header.writeInt16LE(64, 70);
    header.writeInt16LE(64, 72);
    await file.write(header, 0, 352, 0);
    await file.truncate(352 + 2 ** 29);
    await file.close();
    const [ended] = inspect([["--json", large]]);
    assert.equal(ended?.code, 0, ended?.stderr);
    const { shape, sum, dtype } = JSON.parse(ended?.stdout ?? "");
    assert.deepEqual({ shape, sum, dtype }, { shape: [1024, 1024, 64, 1], sum: 0, dtype: "float64" });
    assert.ok((ended?.rss_mb ?? 0) < MOST_MB, `${ended?.rss_mb} MB`);
  });

  const shared = sharedData("nifti-conformance");
  it("refuses every bad file in one line and little memory", { skip: shared.skip }, async (t) => {
    const dir = path.join(shared.dir, "generated");
    const files = (await readdir(dir)).filter((name) => name.startsWith("bad_")).map((name) => path.join(dir, name));
    assert.ok(files.length >= 8);
    const text = path.join(await tempDir(t), "bad_text.nii");
    await writeFile(text, "not a volume\n".repeat(100));
    for (const [index, { code, stdout, stderr, rss_mb }] of inspect([...files, text].map((file) => [file])).entries()) {
      const name = files[index] ?? text;
      assert.equal(code, 2, name);
      assert.equal(stdout, "", name);
      assert.ok(stderr.startsWith(`distmis: ${name}: `) && stderr.split("\n").length === 2, stderr);
      assert.ok(rss_mb < MOST_MB, `${name}: ${rss_mb} MB`);
    }
  });
});
