/** Runs as Markdown for a paper. */
import path from "node:path";
import { analyseRun, compareRuns, factsOf, replicatesOf } from "../analysis/index.ts";
import { DistmisError } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import { paperText } from "./paper-text.ts";

/**
 * @param figures files of `writeFigures`, as seen from where the text will lie
 * @throws DistmisError USAGE if the runs rank their trials differently, and what readRun throws
 */
export async function paperOf(dirs: readonly string[], figures: readonly string[] = []): Promise<string> {
  const runs = [];
  for (const dir of dirs) {
    const facts = await factsOf(dir);
    runs.push({ facts, analysis: analyseRun(facts.reading) });
  }
  const readings = runs.map(({ facts }) => facts.reading);
  const { comparable } = compareRuns(readings);
  if (!comparable)
    throw new DistmisError(
      "USAGE",
      "these runs rank their trials by different metrics: expected runs of one search.metric",
    );
  return paperText(runs, await replicatesOf(readings), figures);
}

/** The same into a file, which is replaced, with `figures` as seen from here. @throws DistmisError FILE_UNUSABLE too */
export async function writePaper(
  dirs: readonly string[],
  file: string,
  figures: readonly string[] = [],
): Promise<void> {
  const linked = figures.map((figure) => path.relative(path.dirname(file), figure));
  await replaceFile(file, await paperOf(dirs, linked));
}
