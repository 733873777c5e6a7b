/** A run that nobody works on, as it lies in its folder. */
import { checkModelFolder } from "../model-folder/index.ts";
import { type RunResults, rankedSummaries, readRun, runFiles } from "../run-folder/index.ts";

/** The results of the run in `dir` so far. Errors: as readRun's. */
export async function pastResults(dir: string): Promise<RunResults> {
  const { state, experiment } = await readRun(dir);
  const trials = rankedSummaries(state, experiment, dir);
  const [first] = trials;
  const model = await checkModelFolder(runFiles.model(dir)).then(
    () => runFiles.model(dir),
    () => null,
  );
  const { metric, mode } = experiment.search;
  return {
    state: state.finished ? "finished" : "interrupted",
    limit: state.limit,
    runDir: dir,
    metric,
    mode,
    trials,
    best: first !== undefined && first.best !== null ? first : null,
    model: state.finished ? model : null,
  };
}
