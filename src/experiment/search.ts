/** Search algorithms: where the parameters of the next trial come from. */
import { type Experiment, gridPoints, gridSize, type Parameters } from "../config/index.ts";

/** What a searcher learns of a trial that has ended. */
export interface TrialOutcome {
  state: "completed" | "failed";
  /** Best value of `search.metric` over the epochs; null if it never reported one. */
  value: number | null;
}

/**
 * Asked for trials and told how they ended; keeps nothing on disk. When a run continues, a new searcher is made with the
 * trials that the journal knows and is told of those that have ended, in the order of their ids.
 */
export interface Searcher {
  /** How many more trials `ask` will give; Infinity if that is open. */
  remaining(): number;
  /** Parameters of the next trial, which gets this id; null when there are no more. May wait for what is told. */
  ask(trial: string): Promise<Parameters | null>;
  tell(trial: string, outcome: TrialOutcome): Promise<void>;
}

/** The searcher that `search.sampler` names. `known` is the number of trials that were asked for before. */
export function createSearcher(experiment: Experiment, known: number): Searcher {
  switch (experiment.search.sampler) {
    case "grid":
      return gridSearcher(experiment.search.space, known);
  }
}

function gridSearcher(space: Experiment["search"]["space"], known: number): Searcher {
  const points = gridPoints(space);
  let asked = 0;
  const next = (): Parameters | null => {
    const { value } = points.next();
    if (value === undefined) return null;
    asked++;
    return value;
  };
  while (asked < known && next() !== null);
  const size = gridSize(space);
  return {
    remaining: () => size - asked,
    ask: async () => next(),
    tell: async () => {},
  };
}
