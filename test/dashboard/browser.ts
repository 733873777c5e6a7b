/** Debian's Chromium, driven by playwright-core. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const EXECUTABLE = process.env.DISTMIS_CHROMIUM || "/usr/bin/chromium";

/** Why there can be no test in a browser; false if there can. */
export const noBrowser: string | false = existsSync(EXECUTABLE)
  ? false
  : `${EXECUTABLE} is missing: sudo apt-get install chromium`;

export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--enable-unsafe-swiftshader",
    ],
  });
}

export interface Watched {
  page: Page;
  /** Errors of the page and of its policy, and requests to other hosts than its own. */
  complaints: string[];
}

/** A page that is 1280 x 800. */
export async function openPage(
  browser: Browser,
  options: Pick<BrowserContextOptions, "colorScheme" | "viewport"> = {},
): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.stack ?? error.message}`));
  page.on("console", (message) => message.type() === "error" && complaints.push(`console: ${message.text()}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["127.0.0.1", "localhost", ""].includes(url.hostname)) complaints.push(`request: ${request.url()}`);
  });
  return { page, complaints };
}

/** Keeps a picture of the page for people to look at, in the folder DISTMIS_SHOTS, where one is named. */
export async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env.DISTMIS_SHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
}
