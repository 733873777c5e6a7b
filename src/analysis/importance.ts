/** Which parameters decide how good a trial is. */
import { DistmisError } from "../errors/index.ts";
import type { RunReading } from "../run-folder/index.ts";
import { bestForImportance, knownTrials, LEAST_TRIALS_FOR_IMPORTANCE, parameterImportance } from "../search/index.ts";

export interface Importance {
  /** Shares that add up to 1, the largest first; null where they can't be told. */
  shares: { parameter: string; share: number }[] | null;
  /** How many completed trials with a value of the search's metric there are. */
  trials: number;
  /** How many of them count as the best, which the shares tell from the rest. */
  best: number;
  /** Why there are no shares, for a person; null if there are. */
  missing: string | null;
}

/** Never throws for what can't be told: of a run of few trials, or without Python's Optuna. */
export async function importanceOf({
  experiment,
  state,
}: Pick<RunReading, "experiment" | "state">): Promise<Importance> {
  const { metric, space } = experiment.search;
  const known = knownTrials(state, experiment);
  const trials = known.filter(({ outcome }) => outcome?.state === "completed" && outcome.value !== null).length;
  const best = bestForImportance(trials);
  const none = (missing: string): Importance => ({ shares: null, trials, best, missing });
  if (Object.keys(space).length < 2) return none("it takes two searched parameters to tell one from the other");
  try {
    const found = await parameterImportance(experiment, known);
    if (found === null) {
      return none(
        `too few trials for an estimate: it takes ${LEAST_TRIALS_FOR_IMPORTANCE} completed ones with a value of ${metric}, this run has ${trials}`,
      );
    }
    if (found.size === 0) return none(`all completed trials have the same ${metric}: nothing tells them apart`);
    return { shares: [...found].map(([parameter, share]) => ({ parameter, share })), trials, best, missing: null };
  } catch (error) {
    if (error instanceof DistmisError) return none(error.message);
    throw error;
  }
}
