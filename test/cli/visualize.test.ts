import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { writeNifti } from "../../src/nifti/index.ts";
import { until } from "../support/until.ts";

const root = path.join(import.meta.dirname, "../..");
let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-visualize-"));
  const affine = [
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
  ];
  await writeNifti(path.join(folder, "scan.nii.gz"), {
    data: Uint8Array.from({ length: 60 }, (_, at) => at),
    shape: [3, 4, 5],
    affine,
  });
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs `distmis visualize` in the test's folder, on a machine without a desktop unless `env` says otherwise. */
function visualize(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { DISPLAY: _, WAYLAND_DISPLAY: __, ...rest } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", import.meta.resolve("tsx"), path.join(root, "src/cli/main.ts"), "visualize", ...args],
    { cwd: folder, env: { ...rest, ...env }, encoding: "utf8", timeout: 60_000 },
  );
  return { status, stdout, stderr };
}

describe("distmis visualize", () => {
  it("writes a GIF here, says where, and says what to do where there is no desktop", async () => {
    const first = visualize(["scan.nii.gz", "--frames", "2"]);
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stdout, /^Wrote scan\.gif: \d+ x \d+ pixels, 2 frames, \d+ kB\.\n$/);
    assert.match(first.stderr, /^Not shown: there is no desktop here .*Open scan\.gif .*--no-screen.*\n$/);
    const second = visualize(["scan.nii.gz", "--frames", "2", "--no-screen"]);
    assert.match(second.stdout, /^Replaced scan\.gif/);
    assert.equal(second.stderr, "");
    assert.equal((await readFile(path.join(folder, "scan.gif"))).toString("latin1", 0, 6), "GIF89a");
  });

  it("takes --no-screen as a flag and, as DistMIS, with a value; --slice with and without a position", async () => {
    for (const [args, position, shown] of [
      [["--no-screen", "scan.nii.gz", "--slice"], [1, 2, 2], false],
      [["--slice", "scan.nii.gz", "--no-screen", "true"], [1, 2, 2], false],
      [["--slice", "2,3,4", "--no-screen", "True", "scan.nii.gz"], [2, 3, 4], false],
      [["scan.nii.gz", "--slice", "(0, 1, 2)", "--no-screen=true"], [0, 1, 2], false],
      [["--slice", "0", "1", "2", "scan.nii.gz", "--no-screen", "False"], [0, 1, 2], true],
    ] as const) {
      const { status, stdout, stderr } = visualize([...args, "--json"]);
      assert.equal(status, 0, stderr);
      assert.equal(stderr.startsWith("Not shown"), shown, `${args.join(" ")}: ${stderr}`);
      const picture = JSON.parse(stdout);
      assert.deepEqual(picture.positions, [position], args.join(" "));
      assert.equal(picture.file, path.join(folder, `scan_slice_${position.join("_")}.png`));
      await access(picture.file);
    }
  });

  it("opens the picture with the desktop's viewer", async () => {
    const opened = path.join(folder, "opened");
    const viewer = path.join(folder, "bin", "xdg-open");
    await mkdir(path.dirname(viewer));
    await writeFile(viewer, `#!/bin/sh\nprintf '%s\\n' "$@" > "$OPENED.tmp" && mv "$OPENED.tmp" "$OPENED"\n`);
    await chmod(viewer, 0o755);
    const env = { DISPLAY: ":0", OPENED: opened, PATH: `${path.dirname(viewer)}:${process.env.PATH}` };
    const { status, stderr } = visualize(["scan.nii.gz", "--frames", "1", "--output", "a b;c.gif"], env);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, "");
    const words = await until("the viewer was called", () => readFile(opened, "utf8").catch(() => null));
    assert.equal(words, `${path.join(folder, "a b;c.gif")}\n`);
  });

  it("writes the picture where xdg-open is missing", () => {
    const { status, stdout, stderr } = visualize(["scan.nii.gz", "--frames", "1"], {
      WAYLAND_DISPLAY: "w",
      PATH: folder,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /scan\.gif/);
    assert.match(stderr, /^Not shown: xdg-open.* is not installed .*Open scan\.gif/);
  });

  it("refuses a wrong use with exit code 2 and a line that says what was expected", () => {
    for (const [args, message] of [
      [[], /name a NIfTI image, or a data set with --dataset-dir/],
      [["scan.nii.gz", "--sample", "3"], /--sample belongs to --dataset-dir/],
      [["scan.nii.gz", "--slice", "1,2"], /--slice 1,2: expected three numbers/],
      [["scan.nii.gz", "--slice", "--frames", "2"], /slice and frames are mutually exclusive/],
    ] as const) {
      const { status, stderr } = visualize([...args]);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
