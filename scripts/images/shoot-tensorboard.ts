/** What TensorBoard shows of a run folder as it is. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { analyseRun, readRun } from "../../src/index.ts";
import { startCommand } from "../../test/support/command.ts";
import { repositoryRoot } from "../../test/support/python.ts";
import { until } from "../../test/support/until.ts";

const START_MS = 60_000;

/** @returns why there are no pictures; null if there are */
export async function shootTensorboard(browser: Browser, run: string, folder: string): Promise<string | null> {
  const program = path.join(repositoryRoot, ".venv", "bin", "tensorboard");
  if (!existsSync(program)) return `${program} is missing: pip install tensorboard`;
  const best = analyseRun(await readRun(run)).best?.trial ?? "";
  const command = startCommand([program, "--logdir", path.resolve(run), "--host", "127.0.0.1", "--port", "0"], folder);
  try {
    const url = await until(
      command.stderr,
      () => /(http:\/\/127\.0\.0\.1:\d+)\//.exec(command.stderr())?.[1],
      START_MS,
    );
    const shoot = async (name: string, show: (page: Page) => Promise<unknown>): Promise<void> => {
      const page = await browser.newPage({ viewport: { width: 1280, height: 660 }, colorScheme: "light" });
      page.setDefaultTimeout(START_MS);
      await page.goto(`${url}/${name === "scalars" ? "?smoothing=0#timeseries" : `#${name}`}`);
      await show(page);
      await writeFile(path.join(folder, `tensorboard-${name}.png`), await steady(page));
      await page.close();
    };
    await shoot("scalars", async (page) => {
      await page.getByRole("button", { name: "Close side pane" }).click();
      await page.getByRole("combobox", { name: "Filter tags (regex)" }).fill("^(val_)?dice$");
      await page.getByText("2 cards").waitFor();
      // The marks of a step, each with a table below the curves.
      const marks = page.getByRole("button", { name: "Deselect fob" });
      await marks.first().waitFor();
      while ((await marks.count()) > 0) await marks.first().click({ force: true });
    });
    await shoot("hparams", (page) => page.getByText("Show Metrics").first().waitFor());
    await shoot("images", async (page) => {
      const pictures = page.locator("tf-image-loader img");
      await pictures.first().waitFor();
      await page.getByText("Show actual image size").click();
      await page.locator("tf-image-dashboard input").first().fill(`${best}$`);
      await until("one picture", async () => (await pictures.count()) === 1, START_MS);
    });
    return null;
  } finally {
    command.child.kill("SIGTERM");
    await command.exit;
  }
}

/** A picture that is the same twice: what moves or is still to be drawn is waited for. */
async function steady(page: Page): Promise<Buffer> {
  await page.waitForLoadState("networkidle");
  let last = await page.screenshot();
  return until(
    "a page that stands still",
    async () => {
      await page.evaluate("new Promise((done) => setTimeout(done, 500))");
      const shot = await page.screenshot();
      const same = shot.equals(last);
      last = shot;
      return same ? shot : null;
    },
    START_MS,
  );
}
