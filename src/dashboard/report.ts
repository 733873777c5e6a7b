/** `distmis report`: the page of one run as a single file that needs no server. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { DistmisError } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import type { CurveView, PreviewsView, ReportData, TrialView } from "../page-data/index.ts";
import { packageVersion } from "../paths/index.ts";
import { runFiles } from "../run-folder/index.ts";
import { type Asset, readAssets } from "./assets.ts";
import { imageFile, predictionFile, previewsOf, truthFile } from "./previews.ts";
import { importanceOfBoard } from "./routes.ts";
import { openBoard, type RunBoard } from "./run-board.ts";
import { spread } from "./spread.ts";

export interface PageReport {
  /** Absolute or as it was named. */
  file: string;
  bytes: number;
  /** What was left out, for a person. */
  remarks: string[];
}

/** A mail server takes so much, and a browser opens it at once. */
const MOST_BYTES = 8_000_000;
/** Of the best trials; a million points are more than a report is read for. */
const MOST_CURVES = 60;
const MOST_POINTS = 60_000;
/** Of the file, so that the rest has room. */
const MOST_VOLUME_BYTES = 3_500_000;
const MOST_EPOCHS = 12;

/**
 * Writes the run in `dir`, also one that goes on, into one HTML file of less than 8 MB.
 * @throws DistmisError FILE_UNUSABLE if there is no run or the file can't be written, RUN_REFUSED if its journal is damaged,
 * SETUP_INCOMPLETE if the page is not built
 */
export async function writePageReport(dir: string, file: string): Promise<PageReport> {
  const assets = await readAssets();
  const board = await openBoard(dir, "0");
  await board.look();
  const { run } = board.changes(-1);
  if (run.trouble !== null) throw new DistmisError("RUN_REFUSED", run.trouble);
  const remarks: string[] = [];
  const whole: Omit<ReportData, keyof Bounded | "remarks"> = {
    run,
    importance: await importanceOfBoard(board),
    experiment: await readFile(runFiles.experiment(board.dir), "utf8").catch(() => ""),
    previews: await oneCase(board, run.best?.trial ?? null, remarks),
    madeAt: Date.now(),
    version: packageVersion(),
  };
  // Trials differ in what there is to tell of them.
  for (let most = MOST_TRIALS; ; most = Math.floor(most / 2)) {
    const { remarks: more, ...some } = bounded(board, most);
    const all = [...more, ...remarks];
    const html = pageOf({ ...whole, ...some, remarks: all }, assets);
    const bytes = Buffer.byteLength(html);
    if (bytes > MOST_BYTES && most > 1) continue;
    if (bytes > MOST_BYTES)
      throw new DistmisError(
        "FILE_UNUSABLE",
        `${file}: the report would have ${bytes} bytes, at most ${MOST_BYTES} are wanted`,
      );
    await replaceFile(file, html);
    return { file, bytes, remarks: all };
  }
}

type Bounded = Pick<ReportData, "trials" | "attempts" | "curves">;

/** Trials beyond these are left out, the worst first. */
const MOST_TRIALS = 8_000;

function bounded(board: RunBoard, most: number): Bounded & { remarks: string[] } {
  const all = board.trials();
  const sign = board.experiment?.search.mode === "min" ? 1 : -1;
  const order = all.toSorted(
    (a, b) => Number(a.best === null) - Number(b.best === null) || sign * ((a.best?.value ?? 0) - (b.best?.value ?? 0)),
  );
  const trials = order.slice(0, most);
  const remarks: string[] = [];
  if (trials.length < all.length) remarks.push(`of ${all.length} trials the best ${trials.length} are in it`);
  const ids = new Set(trials.map(({ id }) => id));
  const attempts = board.attempts().filter(({ trial }) => ids.has(trial));
  const curves = curvesOf(board, trials);
  const drawable = trials.filter(({ id }) => board.curve(id) !== null).length;
  if (curves.length < drawable)
    remarks.push(`of ${drawable} learning curves those of the best ${curves.length} are in it`);
  return { trials, attempts, curves, remarks };
}

function curvesOf(board: RunBoard, trials: readonly TrialView[]): CurveView[] {
  const curves: CurveView[] = [];
  let points = 0;
  for (const { id } of trials.slice(0, MOST_CURVES)) {
    const curve = board.curve(id);
    points += curve === null ? 0 : curve.epochs.length * (1 + Object.keys(curve.metrics).length);
    if (points > MOST_POINTS) break;
    if (curve !== null) curves.push(curve);
  }
  return curves;
}

/** The first case that the best trial has kept, with as many of its epochs as there is room for, the last one among them. */
async function oneCase(board: RunBoard, trial: string | null, remarks: string[]): Promise<ReportData["previews"]> {
  if (trial === null) return null;
  const all = await previewsOf(board, trial);
  const [only] = all.cases;
  if (only === undefined) return null;
  const volumes: Record<string, string> = {};
  let bytes = 0;
  const add = async (name: string, get: () => Promise<Buffer>): Promise<boolean> => {
    const text = (await get()).toString("base64");
    if (bytes + text.length > MOST_VOLUME_BYTES) return false;
    bytes += text.length;
    volumes[name] = text;
    return true;
  };
  let missing = all.missing;
  if (missing === null) {
    const { index } = only;
    const fits =
      (await add("image", () => imageFile(board, trial, index, 0))) &&
      (await add("truth", () => truthFile(board, trial, index)));
    if (!fits) missing = `the images of this data set are too large for a report; \`distmis dashboard\` shows them`;
  }
  const shown = all.epochs.filter(({ cases }) => cases.includes(only.index));
  const epochs: PreviewsView["epochs"] = [];
  for (const epoch of spread(shown, MOST_EPOCHS).toReversed()) {
    const fits = await add(`epoch-${epoch.epoch}`, () => predictionFile(board, trial, only.index, epoch.epoch));
    if (!fits) break;
    epochs.unshift({ ...epoch, cases: [only.index] });
  }
  if (missing !== null) remarks.push(`no image beside the segmentation: ${missing}`);
  const view: PreviewsView = { ...all, channels: all.channels.slice(0, 1), cases: [only], epochs, missing };
  return { trial, view, volumes };
}

/** All that means something within a script element. */
const SPECIAL = /<(?=\/script|!--)/gi;

function pageOf(data: ReportData, assets: ReadonlyMap<string, Asset>): string {
  const text = (name: string): string => assets.get(name)?.bytes.toString("utf8") ?? "";
  // In JSON and in minified code they stand in strings alone.
  const script = text("report.js").replaceAll(SPECIAL, "\\x3c");
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  const style = text("page.css");
  const licences = text("licences.txt");
  const contains = licences.slice(0, licences.indexOf("\n"));
  // The script and the style are named by their hashes: nothing else runs, and nothing is asked of any host.
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "img-src data: blob:",
    "connect-src data: blob:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!doctype html>
<!-- Made by distmis. ${contains} Their licences are at the end of the page. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>distmis report</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div id="page"><noscript>This report needs JavaScript.</noscript></div>
<script type="application/json" id="distmis-report">${json}</script>
<script type="text/plain" id="distmis-licences">${licences.replaceAll(SPECIAL, "&lt;")}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

function hashOf(content: string): string {
  return `'sha256-${createHash("sha256").update(content).digest("base64")}'`;
}
