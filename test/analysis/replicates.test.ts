/** Repetitions of trials, and Markdown for papers. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { replicatesOf } from "../../src/analysis/index.ts";
import { axesOf, defineExperiment, type ExperimentInput, gridPoints, type Parameters } from "../../src/config/index.ts";
import { makePhantom } from "../../src/phantom/index.ts";
import { writeTfrecords } from "../../src/prepare/index.ts";
import { openRun, readRun, trialId } from "../../src/run-folder/index.ts";
import { distmisCommand } from "../support/command.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-replicates-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** A finished run whose trials have the values that `value` gives. */
async function runOf(
  name: string,
  input: Partial<ExperimentInput>,
  value: (of: Parameters) => number | null,
  device: (index: number) => object = () => ({}),
): Promise<string> {
  const experiment = defineExperiment({ name, ...input });
  const dir = path.join(folder, name.replaceAll(/\W/g, "_"));
  const run = await openRun(dir, experiment);
  for (const [index, parameters] of [...gridPoints(axesOf(experiment))].entries()) {
    const trial = trialId(index + 1);
    const reached = value(parameters);
    run.record({ type: "trial_created", trial, parameters });
    const workers = [{ node: "node-1", gpus: [String(index % 2)], ...device(index) }];
    run.record({ type: "attempt_started", trial, attempt: 1, replicas: 1, nodes: ["node-1"], gpus: ["0"], workers });
    const report = { epoch: 1, epochs: 1, seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1, checkpoint: "" };
    if (reached !== null) run.record({ type: "epoch", trial, attempt: 1, ...report, metrics: { val_dice: reached } });
    const metrics: Record<string, number> = reached === null ? {} : { test_dice: reached / 2 };
    const state = reached === null ? "failed" : "completed";
    run.record({ type: "trial_ended", trial, attempt: 1, state, metrics, error: reached === null ? "broken" : null });
  }
  run.record({ type: "run_ended", state: "finished" });
  await run.close();
  return dir;
}

const RATES = { "train.learning_rate": { grid: [0.1, 0.2] } };
const module = { module: "task.mjs" };

async function markdown(...dirs: string[]): Promise<string> {
  const [program, ...args] = distmisCommand(["report", ...dirs, "--format", "md"]);
  return (await promisify(execFile)(program, args, { cwd: folder })).stdout;
}

describe("repetitions", { timeout: 120_000 }, () => {
  it("are trials that differ in the seed alone, with mean and deviation, the best mean first", async () => {
    const search = { space: { ...RATES, "train.seed": { grid: [1, 2, 3] } } };
    const dir = await runOf(
      "seeds",
      { trainer: module, search },
      (of) =>
        // A trial that failed is no value.
        of["train.learning_rate"] === 0.1 && of["train.seed"] === 3
          ? null
          : Number(of["train.learning_rate"]) * Number(of["train.seed"]),
      (index) => ({ device: index % 2 === 0 ? "NVIDIA H200" : "NVIDIA A100" }),
    );
    const groups = await replicatesOf([await readRun(dir)]);
    const rounded = groups.map(({ settings, value, seeds, tests }) => ({
      settings,
      seeds,
      value: [value.trials, value.mean.toFixed(3), value.deviation?.toFixed(3)],
      test: tests.test_dice?.mean.toFixed(3),
    }));
    assert.deepEqual(rounded, [
      { settings: { "train.learning_rate": 0.2 }, seeds: [1, 2, 3], value: [3, "0.400", "0.200"], test: "0.200" },
      { settings: { "train.learning_rate": 0.1 }, seeds: [1, 2], value: [2, "0.150", "0.071"], test: "0.075" },
    ]);
    const text = await markdown(dir);
    assert.match(text, /^\| learning_rate \| n \| val_dice \| test_dice \|$/m);
    assert.match(text, /^\| 0.2 \| 3 \| 0.4000 ± 0.2000 \| 0.2000 ± 0.1000 \|$/m);
    assert.match(text, /mean ± standard deviation \(n − 1\) over seeds/);
    assert.match(text, /6 trials: 5 completed, 1 failed\), ranked by the largest val_dice of an epoch/);
    assert.match(text, /on 2 GPUs \(NVIDIA A100, NVIDIA H200\) of 1 node \(node-1\)/);
    assert.match(text, /The versions of the programs were not recorded/);
  });

  it("are runs on the folds of a data set, but not on other data or with another network", async () => {
    await makePhantom({ targetDir: path.join(folder, "msd"), count: 6, shape: [16, 16, 16] });
    const folds = ["1/3", "2/3"];
    const dirs: string[] = [];
    for (const index of folds.keys()) {
      const targetDir = path.join(folder, `fold-${index + 1}`);
      await writeTfrecords({ sourceDir: path.join(folder, "msd"), targetDir, fold: { index: index + 1, of: 3 } });
      const input = { data: { dir: targetDir }, search: { space: RATES } };
      dirs.push(await runOf(`fold-run-${index + 1}`, input, (of) => Number(of["train.learning_rate"]) + index));
    }
    const first = { data: { dir: path.join(folder, "fold-1") }, search: { space: RATES } };
    const cpu = () => ({ gpus: [], device: "EPYC" });
    dirs.push(await runOf("deeper", { ...first, model: { depth: 4 } }, () => 5, cpu));
    const groups = await replicatesOf(await Promise.all(dirs.map((dir) => readRun(dir))));
    assert.deepEqual(
      groups.map(({ settings, value, folds: of }) => [
        settings["model.depth"],
        value.trials,
        value.mean.toFixed(2),
        of,
      ]),
      [
        [4, 1, "5.00", ["1/3"]],
        [4, 1, "5.00", ["1/3"]],
        [3, 2, "0.70", folds],
        [3, 2, "0.60", folds],
      ],
    );
    const text = await markdown(...dirs);
    // Journals of old do not tell it.
    assert.match(text, /on 2 GPUs of 1 node \(node-1\)/);
    assert.match(text, /on the CPUs \(EPYC\) of 1 node \(node-1\)/);
    assert.match(text, /^\| 0.2 \| 3 \| 2 \| 0.7000 ± 0.7071 \| 0.3500 ± 0.3536 \|$/m);
    assert.match(text, /Data set Phantom: \d training, \d validation and \d test volumes \(fold 2\/3\); 4 channels/);
    assert.match(text, /a 3D U-Net \(4 levels of downsampling, 8 filters at the first level/);
  });

  it("go into a file, and only Markdown is of several runs", async () => {
    const dir = await runOf("file", { trainer: module, search: { space: RATES } }, () => 1);
    const report = async (...args: string[]) => {
      const [program, ...all] = distmisCommand(["report", ...args]);
      return promisify(execFile)(program, all, { cwd: folder });
    };
    assert.equal((await report(dir, "--format", "md", "-o", "paper.md")).stdout, "");
    assert.equal(await readFile(path.join(folder, "paper.md"), "utf8"), await markdown(dir));
    await mkdir(path.join(folder, "paper"));
    const written = await report(dir, "--format", "md", "-o", "paper/text.md", "--figures", "all (pictures)");
    assert.match(written.stderr, /^figure: all \(pictures\)\/curves\.svg$/m);
    const linked = await readFile(path.join(folder, "paper/text.md"), "utf8");
    const links = [...linked.matchAll(/^!\[.+\.\]\((\S+)\)$/gm)].map(([, link = ""]) => link);
    // A run of two trials has no importance.
    assert.deepEqual(
      links,
      ["curves", "parameters", "timeline"].map((name) => `../all%20%28pictures%29/${name}.png`),
    );
    for (const link of links) await access(path.join(folder, "paper", decodeURIComponent(link)));
    const printed = await report(dir, "--format", "md", "--figures", "all (pictures)");
    assert.ok(printed.stdout.includes("](all%20%28pictures%29/curves.png)"));
    await assert.rejects(report(dir, dir), /expected one run, found 2: only --format md takes several/);
    await assert.rejects(report(dir, "--format", "pdf"), /pdf/);
  });

  it("are written as text, whatever is in a name", async () => {
    const space = { "trainer.parameters.x": { grid: ["a | b <script>", "[x](y)\n# z"] } };
    const text = await markdown(await runOf("hostile", { trainer: module, search: { space } }, () => 1));
    assert.match(text, /^\| a \\\| b \\<script\\> \| 1 \| 1.0000 \|/m);
    assert.match(text, /^\| \\\[x\\\]\(y\) # z \| 1 \| 1.0000 \|/m);
    assert.match(text, /one trial each: no deviation can be told/);
  });
});
