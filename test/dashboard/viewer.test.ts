/** Segmentations in the page, and in a report: of a real trial on a phantom. */
import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { defineExperiment } from "../../src/config/index.ts";
import { type Dashboard, serveDashboard, writePageReport } from "../../src/dashboard/index.ts";
import { readPreviews } from "../../src/run-folder/index.ts";
import trainTask from "../../src/trainer/tasks/train.ts";
import { dataset, dir, trialConfig, trialIn } from "../trainer/tasks/phantom-trials.ts";
import { noBrowser, openBrowser, openPage, shoot } from "./browser.ts";
import { type Made, writeRun } from "./made-run.ts";

describe("the viewer", { skip: noBrowser, timeout: 180_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard | undefined;

  before(async () => {
    const train = { epochs: 5, learning_rate: 5e-3, previews: 2 };
    const model = { filters: 4, depth: 2, groups: 2 };
    const { trial, reports } = trialIn("0001", trialConfig(train, model));
    await trainTask.run(trial);
    const experiment = defineExperiment({
      name: "phantom",
      data: { dir: dataset() },
      model,
      train,
      search: { space: { "model.norm": { grid: ["batch"] } } },
    });
    const made: Made[] = [
      [0, { type: "run_started", version: 2, experiment, host: "h", pid: 1 }],
      [0, { type: "trial_created", trial: "0001", parameters: { "model.norm": "batch" } }],
      [1, { type: "attempt_started", trial: "0001", attempt: 1, replicas: 1, nodes: ["n"], gpus: ["0"] }],
      ...reports.map(
        (report): Made => [
          1 + report.epoch,
          { type: "epoch", trial: "0001", attempt: 1, peakResidentBytes: 1, ...report },
        ],
      ),
      [9, { type: "trial_ended", trial: "0001", attempt: 1, state: "completed", metrics: {}, error: null }],
      [9, { type: "run_ended", state: "finished" }],
    ];
    await writeRun(dir, experiment, made);
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  /** Waits until the viewer has drawn, and gives the picture. */
  async function picture(page: Page, drawn: string): Promise<Buffer> {
    await page.locator(`canvas[data-drawn="${drawn}"]`).waitFor();
    // It is drawn in the next frames.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    return page.locator(".viewer canvas").screenshot();
  }

  /** Goes through cases and epochs; @param cases how many there are */
  async function lookThrough(page: Page, cases: number): Promise<void> {
    const kept = await readPreviews(dir, "0001");
    const [first, last] = [kept[0], kept.at(-1)];
    assert.ok(first !== undefined && last !== undefined && kept.length > 1, `${kept.length} improvements`);
    const newest = await picture(page, `case 0 epoch ${last.epoch}`);
    const told = (value: number | null | undefined) => `(Dice ${value?.toFixed(4)})`;
    const slider = page.getByRole("slider", { name: "Epoch" });
    await page.getByText(`${last.epoch} ${told(last.dice[0])}`).waitFor();
    await slider.focus();
    await page.keyboard.press("Home");
    const oldest = await picture(page, `case 0 epoch ${first.epoch}`);
    await page.getByText(`${first.epoch} ${told(first.dice[0])}`).waitFor();
    assert.ok(!oldest.equals(newest), "the prediction has changed");
    await page.keyboard.press("End");
    assert.ok((await picture(page, `case 0 epoch ${last.epoch}`)).equals(newest));
    // Faster than it draws: nothing of what was passed over stays.
    await slider.evaluate((element) => {
      const input = element as HTMLInputElement;
      for (let turn = 0; turn < 6; turn++)
        for (const value of [input.min, input.max]) {
          input.value = value;
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }
      input.value = input.min;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    assert.ok((await picture(page, `case 0 epoch ${first.epoch}`)).equals(oldest));
    await slider.focus();
    for (let turn = 0; turn < 5; turn++) for (const key of ["End", "Home"]) await page.keyboard.press(key);
    await page.keyboard.press("End");
    assert.ok((await picture(page, `case 0 epoch ${last.epoch}`)).equals(newest));
    assert.equal(await page.getByRole("combobox", { name: "Case" }).locator("option").count(), cases);
    assert.equal(
      await page.locator("caption:has-text('Dice of each') ~ tbody tr").count(),
      2,
      "of all validation cases",
    );
    await page.getByRole("slider", { name: "Prediction" }).fill("0");
    await page.getByRole("slider", { name: "Truth" }).fill("0");
    const bare = await picture(page, `case 0 epoch ${last.epoch}`);
    assert.ok(!bare.equals(newest), "without the overlays");
    await page.locator(".viewer canvas").focus();
    for (const [there, back] of [
      ["ArrowRight", "ArrowLeft"],
      ["ArrowUp", "ArrowDown"],
      ["PageUp", "PageDown"],
    ] as const) {
      await page.keyboard.press(there);
      assert.ok(!(await picture(page, `case 0 epoch ${last.epoch}`)).equals(bare), `${there} moves`);
      await page.keyboard.press(back);
    }
    await page.getByRole("combobox", { name: "Show" }).selectOption("axial");
    assert.ok(!(await picture(page, `case 0 epoch ${last.epoch}`)).equals(bare), "one plane");
  }

  it("shows image, truth and prediction of each case and epoch", async () => {
    dashboard = await serveDashboard([dir]);
    const { page, complaints } = await openPage(browser);
    await page.goto(dashboard.url);
    await page.getByRole("link", { name: "Segmentations" }).click();
    await lookThrough(page, 2);
    const before = await page.locator(".viewer canvas").screenshot();
    await page
      .getByRole("button", { name: /phantom_/ })
      .nth(1)
      .click();
    const kept = await readPreviews(dir, "0001");
    assert.ok(!(await picture(page, `case 1 epoch ${kept.at(-1)?.epoch}`)).equals(before));
    await shoot(page, "viewer");
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  it("has room in a report, also beside more trials than that has", async () => {
    const parameters = (trial: string) => ({ "model.norm": `${trial} ${"long ".repeat(700)}` });
    const many = path.join(dir, "many");
    const experiment = defineExperiment({
      name: "many",
      trainer: { module: "task.mjs" },
      search: { space: { "model.norm": { choice: ["batch", "group"] } }, limits: { trials: 4_000 }, sampler: "random" },
    });
    const made: Made[] = [[0, { type: "run_started", version: 2, experiment, host: "h", pid: 1 }]];
    for (let number = 1; number <= 4_000; number++) {
      const trial = String(number).padStart(4, "0");
      made.push([number, { type: "trial_created", trial, parameters: parameters(trial) }]);
    }
    await writeRun(many, experiment, made);
    const { bytes, remarks } = await writePageReport(many, path.join(many, "report.html"));
    assert.ok(bytes < 8_000_000, `${bytes} bytes`);
    assert.deepEqual(remarks, ["of 4000 trials the best 1000 are in it"]);
  });

  it("is in a report, which opens from disk and asks nobody for anything", async () => {
    const { file, bytes, remarks } = await writePageReport(dir, path.join(dir, "report.html"));
    assert.deepEqual([(await stat(file)).size, remarks], [bytes, []]);
    assert.ok(bytes < 8_000_000, `${bytes} bytes`);
    const { page, complaints } = await openPage(browser);
    const requests: string[] = [];
    page.on("request", (request) => request.url().startsWith("data:") || requests.push(request.url()));
    await page.goto(pathToFileURL(file).href);
    await page.getByRole("heading", { name: "phantom" }).waitFor();
    await shoot(page, "report");
    for (const view of ["Curves", "Timeline"]) {
      await page.getByRole("link", { name: view, exact: true }).click();
      await page.locator(".chart[data-drawn]").waitFor();
    }
    await page.getByRole("link", { name: "Segmentations" }).click();
    await lookThrough(page, 1);
    await page.getByRole("link", { name: "Experiment" }).click();
    await page.getByText("name: phantom").waitFor();
    assert.deepEqual(complaints, []);
    assert.deepEqual(
      requests.filter((url) => url !== pathToFileURL(file).href && !url.startsWith("blob:")),
      [],
    );
    await page.context().close();
  });
});
