/** A run that nobody works on, as it lies in its folder. */
import { modelOf } from "../experiment/index.ts";
import { type RunResults, rankedResults, readRun } from "../run-folder/index.ts";

/** The results of the run in `dir` so far. Errors: as readRun's. */
export async function pastResults(dir: string): Promise<RunResults> {
  const { state, experiment } = await readRun(dir);
  return { ...rankedResults(state, experiment, dir), model: state.finished ? await modelOf(dir) : null };
}
