/** Search algorithms: where the parameters of the next trial come from, and which trials end early. */
export { createSearcher, type KnownTrial, type Searcher, type TrialOutcome } from "./searcher.ts";
