/** The page while things change: a run that grows, a journal that breaks, a server that starts again. */
import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { type Dashboard, serveDashboard } from "../../src/dashboard/index.ts";
import { openRun, type RunFolder, runFiles } from "../../src/run-folder/index.ts";
import { noBrowser, openBrowser, openPage, shoot } from "./browser.ts";
import { gridExperiment } from "./made-run.ts";

describe("the page of a run that goes on", { skip: noBrowser, timeout: 120_000 }, () => {
  let folder = "";
  let browser: Browser;
  let dashboard: Dashboard;
  let page: Page;
  let run: RunFolder;
  let complaints: string[] = [];
  const dir = () => path.join(folder, "growing");
  const tokenFile = () => path.join(folder, "token");

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "distmis-live-"));
    run = await openRun(dir(), gridExperiment("growing"));
    await run.commit();
    dashboard = await serveDashboard([dir()], { tokenFile: tokenFile() });
    browser = await openBrowser();
    ({ page, complaints } = await openPage(browser));
    await page.goto(dashboard.url);
  });
  after(async () => {
    await run?.close();
    await browser?.close();
    await dashboard?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const facts = { attempt: 1, epochs: 3, seconds: 1, volumesPerSecond: 1, peakResidentBytes: 1, checkpoint: "" };
  const begin = async (trial: string): Promise<void> => {
    run.record({ type: "trial_created", trial, parameters: { "model.norm": "batch" } });
    const workers = [{ node: "n1", gpus: ["0"] }];
    const sizes = [{ replicas: 1, concurrency: 2 }];
    const placed = { change: "", trials: 10_000, concurrency: 2, sizes, room: 2, cpus: 1, gpus: 1 };
    const where = { replicas: 1, nodes: ["n1"], gpus: ["0"], workers, placed };
    run.record({ type: "attempt_started", trial, attempt: 1, ...where });
    await run.commit();
  };
  const report = async (trial: string, epoch: number, val_dice: number): Promise<void> => {
    run.record({ type: "epoch", trial, epoch, metrics: { val_dice }, ...facts });
    await run.commit();
  };
  const tile = (text: string | RegExp) => page.locator(".tiles > div").filter({ hasText: text });

  it("shows each report as it comes", async () => {
    await tile("Staterunning").getByText(`process ${process.pid}`).waitFor();
    await page.getByText("No trial has reported val_dice yet.").waitFor();
    await begin("0001");
    await page.getByText("1 trial running").waitFor();
    await report("0001", 1, 0.25);
    await tile("Best val_dice0.2500").waitFor();
    // 9,999 trials of three seconds and two seconds of this one, two at once.
    await tile("Time remaining4 h 10 min").waitFor();
    await page.locator("header").getByText("running", { exact: true }).waitFor();
    await page.locator("header").getByText("connected", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Curves" }).click();
    await page.getByRole("img", { name: /^val_dice by epoch of 1 trial; / }).waitFor();
    await begin("0002");
    await report("0002", 1, 0.5);
    await page.getByRole("img", { name: /^val_dice by epoch of 2 trials; / }).waitFor();
    await page.getByRole("link", { name: "Timeline" }).click();
    await page.getByRole("heading", { name: "1 of 2 GPUs busy" }).waitFor();
    await shoot(page, "live");
  });

  it("follows a log", async () => {
    const log = runFiles.trialLog(dir(), "0002");
    await mkdir(path.dirname(log), { recursive: true });
    const lines = Array.from({ length: 2_000 }, (_, line) => `line ${line}\n`).join("");
    await writeFile(log, `${lines}one\n`);
    await page.getByRole("link", { name: "0002" }).first().click();
    const box = page.locator("pre.log");
    await box.getByText("one").waitFor();
    const fromEnd = () => box.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
    assert.ok((await fromEnd()) < 2, "it opens at its end");
    // Many lines at once are followed, too.
    await appendFile(log, `${lines}two\n`);
    await box.getByText("two").waitFor();
    assert.ok((await fromEnd()) < 2);
    await box.evaluate((element) => element.scrollTo(0, 100));
    await appendFile(log, "three\n");
    await box.getByText("three").waitFor();
    assert.equal(await box.evaluate((element) => element.scrollTop), 100, "who reads further up is left there");
  });

  it("says that a journal is broken and shows what it knows, until it is mended", async () => {
    await page.getByRole("link", { name: "Overview" }).click();
    const journal = runFiles.journal(dir());
    await appendFile(journal, "not a record\n");
    await report("0002", 2, 0.75);
    await page.getByRole("alert").getByText("can't be read to its end").waitFor();
    assert.match(
      (await page.getByRole("alert").textContent()) ?? "",
      /journal\.jsonl:\d+: expected a record .*, and valid records follow/,
    );
    await tile("Best val_dice0.5000").waitFor();
    await shoot(page, "broken");
    await writeFile(journal, (await readFile(journal, "utf8")).replace("not a record\n", ""));
    await page.getByRole("alert").waitFor({ state: "detached" });
    await tile("Best val_dice0.7500").waitFor();
  });

  it("keeps a brush while trials come", async () => {
    await page.getByRole("link", { name: "Parameters" }).click();
    await page.getByText("Brush by values", { exact: true }).click();
    await page.getByLabel("val_dice from").fill("0.5");
    await page.keyboard.press("Tab");
    await page.getByRole("heading", { name: "1 trial brushed" }).waitFor();
    await begin("0003");
    await report("0003", 1, 0.6);
    await page.getByRole("heading", { name: "2 trials brushed" }).waitFor();
    // An end that was left open is open.
    await report("0003", 2, 0.78);
    await page.getByRole("listitem").getByText("0.7800").waitFor();
    await page.getByRole("heading", { name: "2 trials brushed" }).waitFor();
    assert.equal(await page.getByLabel("val_dice from").inputValue(), "0.5");
    assert.equal(await page.getByLabel("val_dice to").inputValue(), "");
    await shoot(page, "brushed");
    await page.getByRole("link", { name: "Overview" }).click();
  });

  it("lets go of its stream while nobody sees it, and is up to date when somebody does", async () => {
    const hidden = await openPage(browser);
    await hidden.page.clock.install();
    const content = `Object.defineProperty(document, "hidden", { get: () => document.documentElement.dataset.hidden === "yes" });`;
    await hidden.page.addInitScript({ content });
    const hide = (is: "yes" | "no") =>
      hidden.page.evaluate((value) => {
        document.documentElement.dataset.hidden = value;
        document.dispatchEvent(new Event("visibilitychange"));
      }, is);
    await hidden.page.goto(dashboard.url);
    await hidden.page.locator(".tiles").getByText("0.7800").waitFor();
    await hide("yes");
    await hidden.page.clock.runFor(11_000);
    // Each comes with a message of its own: a page with a stream would have had the first ones.
    for (const [epoch, value] of [
      [2, 0.79],
      [3, 0.8],
    ] as const) {
      await report("0001", epoch, value);
      await tile(`Best val_dice${value.toFixed(4)}`).waitFor();
    }
    assert.equal(await hidden.page.locator(".tiles").getByText("0.7800").count(), 1);
    await hide("no");
    await hidden.page.locator(".tiles").getByText("0.8000").waitFor();
    await hidden.page.context().close();
  });

  it("comes back when the server does, and says so where it can't", async () => {
    const port = Number(new URL(dashboard.url).port);
    await dashboard.close();
    await page.getByRole("alert").getByText("The server does not answer").waitFor();
    await page.locator("header").getByText("offline", { exact: true }).waitFor();
    await tile("Best val_dice0.8000").waitFor();
    await report("0002", 3, 0.875);
    dashboard = await serveDashboard([dir()], { port, tokenFile: tokenFile() });
    await page.getByRole("alert").waitFor({ state: "detached" });
    await tile("Best val_dice0.8750").waitFor();
    await dashboard.close();
    dashboard = await serveDashboard([dir()], { port });
    await page.getByRole("alert").getByText("open the address that it printed").waitFor();
    // It is asked again each second, and what is known is not said again.
    const said = await page.evaluate(async () => {
      let times = 0;
      const alert = document.querySelector('[role="alert"]');
      if (alert !== null)
        new MutationObserver(() => times++).observe(alert, { childList: true, characterData: true, subtree: true });
      for (let asks = 0; asks < 2; asks++) await fetch("/", { method: "HEAD" });
      await new Promise((done) => setTimeout(done, 2_500));
      return times;
    });
    assert.equal(said, 0);
    await shoot(page, "refused");
    await page.goto(dashboard.url);
    await tile("Best val_dice0.8750").waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
  });

  it("sees the end", async () => {
    for (const trial of ["0001", "0002", "0003"])
      run.record({ type: "trial_ended", trial, attempt: 1, state: "completed", metrics: {}, error: null });
    run.record({ type: "run_ended", state: "finished" });
    await run.close();
    await tile("Statefinished").waitFor();
    await tile("Time remainingnone").waitFor();
    await page.locator("header").getByText("finished", { exact: true }).waitFor();
    await page.locator("header").getByText("connected", { exact: true }).waitFor();
    const others = complaints.filter(
      (each) => !/ERR_CONNECTION_(REFUSED|RESET)|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|401/.test(each),
    );
    assert.deepEqual(others, []);
  });
});
