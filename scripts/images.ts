// `npm run images -- RUN`: the pictures of the page in docs/images, of a run of a data set whose pictures may be shown.
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { serveDashboard } from "../src/index.ts";
import { openBrowser, openPage } from "../test/dashboard/browser.ts";

const [run = ""] = process.argv.slice(2);
if (!existsSync(run)) throw new Error("usage: npm run images -- RUN_FOLDER");
const folder = path.join(import.meta.dirname, "..", "docs", "images");
mkdirSync(folder, { recursive: true });
const dashboard = await serveDashboard([run]);
const browser = await openBrowser();
try {
  const { page, complaints } = await openPage(browser, { colorScheme: "light" });
  await page.goto(dashboard.url);
  const shoot = (name: string) => page.screenshot({ path: path.join(folder, `page-${name}.png`) });
  for (const [view, ready] of [
    ["Curves", ".chart[data-drawn]"],
    ["Parameters", ".share"],
    ["Segmentations", 'canvas[data-drawn^="case"]'],
  ] as const) {
    await page.getByRole("link", { name: view, exact: true }).click();
    await page.locator(ready).first().waitFor();
    // What is drawn on a canvas comes in the frames after.
    await page.waitForLoadState("networkidle");
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    await shoot(view.toLowerCase());
  }
  if (complaints.length > 0) throw new Error(complaints.join("\n"));
} finally {
  await browser.close();
  await dashboard.close();
}
