/**
 * `npm run images [-- RUN]`: the pictures of docs/images, of a real search on a phantom (some four minutes), or of the run folder RUN,
 * of which there is no picture of the terminal and whose images may be shown to everybody.
 */
import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openBrowser } from "../test/dashboard/browser.ts";
import { searchInTerminal } from "./images/search.ts";
import { shootPage } from "./images/shoot-page.ts";
import { shootTensorboard } from "./images/shoot-tensorboard.ts";
import { shootTerminal } from "./images/shoot-terminal.ts";

const [given] = process.argv.slice(2);
if (given !== undefined && !existsSync(path.join(given, "journal.jsonl")))
  throw new Error(`${given}: expected a run folder; usage: npm run images [-- RUN_FOLDER]`);
const folder = path.join(import.meta.dirname, "..", "docs", "images");
mkdirSync(folder, { recursive: true });
const work = await mkdtemp(path.join(tmpdir(), "distmis-images-"));
const say = (text: string): void => void process.stderr.write(`images: ${text}\n`);
const browser = await openBrowser();
try {
  let run = given;
  if (run === undefined) {
    say("a search on a phantom");
    const found = await searchInTerminal(work);
    run = found.run;
    await shootTerminal(browser, found.screen, path.join(folder, "terminal.png"));
  }
  say("the page");
  await shootPage(browser, run, folder);
  const skipped = await shootTensorboard(browser, run, folder);
  say(skipped === null ? "TensorBoard" : `no pictures of TensorBoard: ${skipped}`);
} finally {
  await browser.close();
  await rm(work, { recursive: true, force: true });
}
