/** Charts as files. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { PNG } from "pngjs";
import { PAPER } from "../../src/charts/index.ts";
import { defineExperiment } from "../../src/config/index.ts";
import { pngOf } from "../../src/dashboard/draw.ts";
import { writeFigures } from "../../src/dashboard/index.ts";
import { gridExperiment, type Made, madeSearch, writeRun } from "./made-run.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-figures-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const CHARTS = ["curves", "importance", "parameters", "timeline"];

/** By the names of their charts. resvg reads XML strictly, so that what it draws is well-formed. */
async function figuresOf(name: string): Promise<Map<string, string>> {
  const dir = path.join(folder, `${name}-figures`);
  const found = new Map<string, string>();
  for (const file of (await readdir(dir)).filter((each) => each.endsWith(".svg"))) {
    const svg = await readFile(path.join(dir, file), "utf8");
    const png = PNG.sync.read(await readFile(path.join(dir, file.replace(".svg", ".png"))));
    const size = /^<svg width="(\d+)" height="(\d+)"/.exec(svg);
    assert.deepEqual([png.width, png.height], [2 * Number(size?.[1]), 2 * Number(size?.[2])], file);
    assert.ok(new Set(png.data).size > 20, `${file}: something is drawn`);
    found.set(path.parse(file).name, svg);
  }
  return found;
}

const write = (name: string) => writeFigures(path.join(folder, name), path.join(folder, `${name}-figures`));

describe("figures", { timeout: 120_000 }, () => {
  it("are the charts of a run", async () => {
    const experiment = gridExperiment();
    await writeRun(path.join(folder, "whole"), experiment, madeSearch(experiment, 60, 20));
    const { files, remarks } = await write("whole");
    assert.deepEqual(remarks, ["curves: the best 10 of 60 trials"]);
    assert.equal(files.length, 8);
    const figures = await figuresOf("whole");
    assert.deepEqual([...figures.keys()].sort(), CHARTS);
    assert.match(figures.get("curves") ?? "", />0035 learning_rate=0.0020123 norm=batch filters=32</);
    assert.match(figures.get("importance") ?? "", />learning_rate</);
    const lines = (figures.get("parameters") ?? "").match(/<polyline [^>]*stroke="rgb\(/g) ?? [];
    assert.equal(lines.length, 60);
    const timeline = figures.get("timeline") ?? "";
    for (const words of ["node1 GPU 0", "node2 GPU 3", "completed", "lost, tried again"])
      assert.ok(timeline.includes(`>${words}<`), words);
    for (const svg of figures.values()) assert.doesNotMatch(svg, /href|<script|<image/);
  });

  it("stay small, whatever the size of the run, and tell what they leave out", async () => {
    const experiment = gridExperiment("large");
    await writeRun(path.join(folder, "large"), experiment, madeSearch(experiment, 6000, 5));
    const { files, remarks } = await write("large");
    assert.deepEqual(remarks.slice(0, 2), [
      "curves: the best 10 of 6000 trials",
      "parameters: 1000 of 6000 trials, evenly from the best to the worst",
    ]);
    assert.match(remarks[2] ?? "", /^timeline: the first 5000 of 6\d\d\d attempts$/);
    for (const file of files) assert.ok((await stat(file)).size < 2e6, file);
    const lines = ((await figuresOf("large")).get("parameters") ?? "").match(/<polyline [^>]*stroke="rgb\(/g) ?? [];
    assert.equal(lines.length, 1000, "none is left to be drawn later");
  });

  it("write names as text", async () => {
    const values = ["<script>alert(1)</script>", 'a"&b\u0001]]>\n{x|y}', "é".repeat(500)];
    const space = { "trainer.parameters.x": { choice: values }, "trainer.parameters.<b>": { choice: [1, 2] } };
    const experiment = defineExperiment({ name: "hostile", trainer: { module: "task.mjs" }, search: { space } });
    const made: Made[] = [[0, { type: "run_started", version: 2, experiment, host: "login1", pid: 1 }]];
    for (const [index, value] of Array(6).fill(values).flat().entries()) {
      const trial = String(index + 1).padStart(4, "0");
      const parameters = { "trainer.parameters.x": value, "trainer.parameters.<b>": 1 + (index % 2) };
      const nodes = ["<img src=x onerror=alert(1)>"];
      const rest = { seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1, checkpoint: "" };
      const metrics = { val_dice: 0.1 * (index + 1) };
      made.push([index, { type: "trial_created", trial, parameters }]);
      made.push([index, { type: "attempt_started", trial, attempt: 1, replicas: 1, nodes, gpus: ["0"] }]);
      made.push([index + 1, { type: "epoch", trial, attempt: 1, epoch: 1, epochs: 1, metrics, ...rest }]);
      made.push([index + 1, { type: "trial_ended", trial, attempt: 1, state: "completed", metrics, error: null }]);
    }
    await writeRun(path.join(folder, "hostile"), experiment, made);
    await write("hostile");
    const figures = await figuresOf("hostile");
    assert.deepEqual([...figures.keys()].sort(), CHARTS);
    for (const svg of figures.values()) assert.doesNotMatch(svg, /<script|<img|<b>/);
    for (const svg of figures.values()) assert.ok(!svg.includes("\u0001"));
    assert.match(figures.get("curves") ?? "", /&lt;script&gt;/);
    assert.match(figures.get("parameters") ?? "", /&lt;b&gt;/);
    assert.match(figures.get("timeline") ?? "", /&lt;img/);
    await assert.rejects(pngOf("<svg><b></svg>"), "what is not well-formed is refused");
  });

  it("are left out where there is nothing to show", async () => {
    const experiment = gridExperiment("empty");
    const started: Made = [0, { type: "run_started", version: 2, experiment, host: "login1", pid: 1 }];
    await writeRun(path.join(folder, "empty"), experiment, [started]);
    const { files, remarks } = await write("empty");
    assert.deepEqual(files, []);
    assert.deepEqual(
      remarks.map((remark) => /^no \w+: /.exec(remark)?.[0]),
      ["no curves: ", "no parameters: ", "no importance: ", "no timeline: "],
    );
  });

  it("have the colours of the page", async () => {
    const css = await readFile(path.join(import.meta.dirname, "../../src/page/page.css"), "utf8");
    const [light = ""] = css.split("@media");
    const of = (name: string) => new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(light)?.[1];
    const { series, states, ...others } = PAPER;
    for (const [name, colour] of Object.entries(others)) assert.equal(colour, of(name), name);
    for (const [index, colour] of series.entries()) assert.equal(colour, of(`series-${index}`));
    for (const [name, colour] of Object.entries(states)) assert.equal(colour, of(`state-${name}`), name);
  });
});
