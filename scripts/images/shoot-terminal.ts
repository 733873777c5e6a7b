/** A terminal's screen as a picture. */
import type { Browser } from "playwright-core";

const STYLE = `
  body { margin: 0; background: #fff; }
  pre { display: inline-block; margin: 0; padding: 14px 18px; border-radius: 8px; background: #15181c; color: #e6e9ec;
    font: 15px/1.35 "DejaVu Sans Mono", monospace; }`;

export async function shootTerminal(browser: Browser, lines: readonly string[], file: string): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 800 } });
  await page.setContent(`<!doctype html><style>${STYLE}</style><pre></pre>`);
  const screen = page.locator("pre");
  await screen.evaluate((element, text) => {
    element.textContent = text;
  }, lines.join("\n"));
  await screen.screenshot({ path: file });
  await page.close();
}
