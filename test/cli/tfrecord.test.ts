/** `distmis tfrecord` as a user types it. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseEdges, parseTriple, parseTripleOrAuto } from "../../src/cli/tuple.ts";
import { infoSchema } from "../../src/data/info.ts";
import { entryCommand } from "../../src/paths/index.ts";
import { failure, tinyDataset } from "../data/helpers.ts";

const [program = "", ...args] = entryCommand(new URL("../../src/cli/main.ts", import.meta.url));

const dir = mkdtempSync(join(tmpdir(), "distmis-cli-tfrecord-"));
const source = join(dir, "source");
before(() => tinyDataset(source, { shapes: Array.from({ length: 6 }, () => [8, 8, 8] as const), modalities: 2 }));
after(() => rmSync(dir, { recursive: true }));

/** Runs the command; stdout, stderr and the exit code. */
function tfrecord(target: string, ...more: string[]) {
  const options = ["tfrecord", "--source-dir", source, "--target-source", join(dir, target), ...more];
  const { stdout, stderr, status } = spawnSync(program, [...args, ...options], { encoding: "utf8", cwd: dir });
  return { stdout, stderr, status };
}

async function info(target: string) {
  const { distmis, ...counts } = infoSchema.parse(JSON.parse(await readFile(join(dir, target, "info.json"), "utf8")));
  if (distmis === undefined) throw new Error("info.json has no distmis");
  return { ...distmis, counts };
}

describe("tuples", () => {
  it("are read as DistMIS's examples write them, and as people do", () => {
    for (const words of [
      ["(120, 120, 152)"],
      ["120,120,152"],
      ["120", "120", "152"],
      ["[120 120 152]"],
      ["(120,", "120,", "152)"],
    ])
      assert.deepEqual(parseTriple("reshape", words, "1,2,3"), [120, 120, 152]);
    assert.equal(parseTripleOrAuto("reshape", ["auto"], "1,2,3"), "auto");
    assert.deepEqual(parseEdges("resample", ["1.5"], "1,1,3"), [1.5, 1.5, 1.5]);
    assert.deepEqual(parseEdges("resample", ["1", "1", "3"], "1,1,3"), [1, 1, 3]);
    assert.throws(
      () => parseTriple("reshape", ["1,2"], "1,2,3"),
      failure("USAGE", "--reshape 1,2: expected three numbers"),
    );
    assert.throws(() => parseTriple("reshape", ["1,2,x"], "1,2,3"), failure("USAGE", "for example --reshape 1,2,3"));
    assert.throws(() => parseTripleOrAuto("reshape", ["all"], "1,2,3"), failure("USAGE", "or auto"));
  });
});

describe("distmis tfrecord", () => {
  it("takes every option, says what it did, and that it is up to date the second time", async () => {
    await writeFile(join(dir, "flips.yaml"), "flip: { probability: 1, axes: [x] }\n");
    const options = [
      ...["--split", "(0.5, 0.25, 0.25)", "--seed", "3", "--modalities", "m1,m0", "--orientation", "ras"],
      ...["--resample", "2", "1.5", "3", "--pad-or-crop", "10,8,8", "--labels", "multiclass", "--augment", "2"],
      ...["--augmentation", "flips.yaml", "--skip-bad", "--repair-nonfinite", "zero", "--repair-labels", "round"],
    ];
    const { stdout, stderr, status } = tfrecord("all", ...options, "--workers", "1");
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^Checking headers: .*\n(.*\n)*Writing: 6 of 6 volumes\n$/);
    assert.match(stdout, /^Note: --pad-or-crop of 10 x 8 x 8 is rounded up to 16 x 8 x 8, /);
    assert.match(
      stdout,
      /Wrote 9 train \(2 copies of each included\), 1 valid, 2 test volumes of 2 x 16 x 8 x 8 to .*all in \d+\.\d s\.\n$/,
    );
    const {
      counts,
      versions,
      spacing,
      modalities,
      classes,
      preprocessing,
      options: recorded,
      samples,
    } = await info("all");
    assert.deepEqual([counts.total_size, counts.train_size, counts.train_shard], [12, 9, 3]);
    assert.equal(versions?.node, process.versions.node);
    assert.deepEqual(
      [spacing, modalities, Object.keys(classes)],
      [
        [2, 1.5, 3],
        ["m1", "m0"],
        ["0", "1", "2"],
      ],
    );
    assert.deepEqual([preprocessing.orientation, preprocessing.fit, preprocessing.cut], ["RAS", "pad-or-crop", null]);
    assert.deepEqual(
      samples.train.map(({ copy }) => copy),
      [0, 1, 2, 0, 1, 2, 0, 1, 2],
    );
    assert.match(samples.train[0]?.image.sha256 ?? "", /^[0-9a-f]{64}$/);
    assert.deepEqual(recorded, {
      split: [0.5, 0.25, 0.25],
      reshape: null,
      divisor: 8,
      labels: "multiclass",
      fold: null,
      seed: 3,
      modalities: ["m1", "m0"],
      orientation: "RAS",
      resample: [2, 1.5, 3],
      pad_or_crop: [10, 8, 8],
      augment: 2,
      augmentation: { flip: { probability: 1, axes: ["x"] } },
      skip_bad: true,
      repair_nonfinite: "zero",
      repair_labels: "round",
    });
    assert.match(tfrecord("all", ...options).stdout, /Up to date: .* holds 9 train/);
    const other = tfrecord("all", ...options, "--seed", "4");
    assert.deepEqual([other.status, other.stdout], [2, ""]);
  });

  it("names a bad pair, and lists it where it is skipped", async () => {
    const file = join(source, "labelsTr/case_2.nii.gz");
    const good = await readFile(file);
    await writeFile(file, good.subarray(0, good.length - 9));
    try {
      const refused = tfrecord("skips");
      assert.deepEqual([refused.status, refused.stdout], [2, ""]);
      assert.match(
        refused.stderr,
        /distmis: .*labelsTr\/case_2\.nii\.gz: .*; [0-9] of 6 volumes are done and kept: the same command/,
      );
      const { stdout, status } = tfrecord("skips", "--skip-bad");
      assert.equal(status, 0);
      assert.match(
        stdout,
        /Note: what an interrupted run with other options had left is thrown away\.\nSkipped 1 bad pair:\n {2}.*case_2\.nii\.gz: .*\nWrote 2 train, 1 valid, 2 test/,
      );
    } finally {
      await writeFile(file, good);
    }
  });

  it("says what is wrong with an option in one line each", async () => {
    await writeFile(join(dir, "wrong.yaml"), "flip:\n  probability: 2\nflop: {}\n");
    for (const [options, ...messages] of [
      [["--reshape", "8,8"], "--reshape 8,8: expected three numbers"],
      [["--seed", "x"], "--seed: expected a number"],
      [["--fold", "1"], "--fold 1: expected K/N"],
      [["--reshape", "8,8,8", "--pad-or-crop", "auto"], "--reshape and --pad-or-crop: both say"],
      [["--augmentation", "none.yaml", "--augment", "1"], "none.yaml: there is no such file"],
      [
        ["--augmentation", "wrong.yaml", "--augment", "1"],
        "wrong.yaml:2: flip.probability: expected",
        "wrong.yaml:3: flop: unknown key; did you mean flip?",
      ],
    ] satisfies [string[], ...string[]][]) {
      const { stderr, status } = tfrecord("wrong", ...options);
      assert.equal(status, 2);
      for (const message of messages) assert.ok(stderr.includes(message), stderr);
    }
  });

  it("stops after the volumes in hand at the first Ctrl-C, and the same command goes on", {
    timeout: 120_000,
  }, async (t) => {
    const big = join(dir, "big");
    await tinyDataset(big, { shapes: Array.from({ length: 24 }, () => [64, 64, 64] as const) });
    const command = [...args, "tfrecord", "--source-dir", big, "--target-dir", join(dir, "stopped"), "--workers", "1"];
    const child = spawn(program, command, { stdio: ["ignore", "ignore", "pipe"] });
    t.after(() => child.kill("SIGKILL"));
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      if (!said.includes("Writing: ") && text.includes("Writing: ")) child.kill("SIGINT");
      said += text;
    });
    const [code] = await once(child, "close");
    assert.equal(code, 130, said);
    assert.match(said, /Stopping after the volumes in hand/);
    const done = /(\d+) of 24 volumes are done and kept: the same command goes on from there/.exec(said)?.[1];
    assert.ok(Number(done) >= 6, said);
    const { stdout, status } = spawnSync(program, command, { encoding: "utf8" });
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`Note: an interrupted run was continued: ${done} of 24 volumes were done already`));
  });
});
