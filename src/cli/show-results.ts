/** What `distmis results` does. */
import {
  analyseRun,
  analysisText,
  compareRuns,
  comparisonText,
  DistmisError,
  exportStudy,
  importanceOf,
  type RunAnalysis,
  readRun,
  runsToCsv,
} from "../index.ts";
import { writeOut } from "./write-out.ts";

export interface ResultsArguments {
  run: string[];
  top: number | undefined;
  json: boolean;
  csv: boolean;
  importance: boolean;
  optuna: string | undefined;
}

export async function showResults(args: ResultsArguments): Promise<void> {
  const { top, optuna } = args;
  const readings = [];
  for (const dir of args.run) readings.push(await readRun(dir));
  const [only] = readings.length === 1 ? readings : [];
  if (optuna !== undefined) {
    if (only === undefined) throw new DistmisError("USAGE", "--optuna: expected one run, as a study is of one search");
    const trials = await exportStudy(only.dir, optuna);
    process.stderr.write(`wrote ${trials} trials to ${optuna}; \`optuna-dashboard ${optuna}\` shows them\n`);
  }
  const analyses = readings.map(analyseRun);
  const shown = analyses.map((analysis) => ({ ...analysis, trials: analysis.trials.slice(0, top) }));
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const options = { width, ...(top === undefined ? {} : { rows: top }) };
  if (args.csv) {
    const name = (analysis: RunAnalysis): string | null => (only === undefined ? analysis.runDir : null);
    await writeOut(runsToCsv(shown.map((each) => ({ run: name(each), trials: each.trials, metric: each.metric }))));
  } else if (only === undefined) {
    const comparison = compareRuns(readings);
    await writeOut(
      args.json
        ? `${JSON.stringify({ runs: shown, ...comparison }, null, 1)}\n`
        : `${comparisonText(analyses, comparison, options)}\n`,
    );
  } else {
    const importance = args.importance ? await importanceOf(only) : null;
    const [whole, part] = [analyses[0], shown[0]];
    if (whole === undefined || part === undefined) return;
    await writeOut(
      args.json
        ? `${JSON.stringify({ ...part, importance }, null, 1)}\n`
        : `${analysisText(whole, importance, options)}\n`,
    );
  }
}
