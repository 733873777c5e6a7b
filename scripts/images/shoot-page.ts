/** The views of `distmis dashboard`. */
import path from "node:path";
import type { Browser } from "playwright-core";
import { serveDashboard } from "../../src/index.ts";
import { openPage } from "../../test/dashboard/browser.ts";

const SIZE = { width: 1280, height: 800 };
const VIEWS = [
  ["Curves", ".chart[data-drawn]"],
  ["Parameters", ".share"],
  ["Timeline", ".chart[data-drawn]"],
  ["Segmentations", 'canvas[data-drawn^="case"]'],
] as const;

export async function shootPage(browser: Browser, run: string, folder: string): Promise<void> {
  const dashboard = await serveDashboard([run]);
  try {
    const { page, complaints } = await openPage(browser, { colorScheme: "light", viewport: SIZE });
    await page.goto(dashboard.url);
    for (const [view, ready] of VIEWS) {
      await page.getByRole("link", { name: view, exact: true }).click();
      await page.locator(ready).first().waitFor();
      // What is drawn on a canvas comes in the frames after.
      await page.waitForLoadState("networkidle");
      await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
      // Without what is empty below.
      const end = (await page.locator("footer").boundingBox())?.y ?? SIZE.height;
      const clip = { x: 0, y: 0, width: SIZE.width, height: Math.min(SIZE.height, Math.round(end)) };
      await page.screenshot({ path: path.join(folder, `page-${view.toLowerCase()}.png`), clip });
    }
    if (complaints.length > 0) throw new Error(complaints.join("\n"));
  } finally {
    await dashboard.close();
  }
}
