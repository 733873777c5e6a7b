/** Search algorithms: where the parameters of the next trial come from, and which trials end early. */
export { needsStudy } from "./adaptive.ts";
export { createSearcher, type SearcherParts } from "./create-searcher.ts";
export { type EarlierTrials, earlierTrials, knownTrials, outcomeOf } from "./known-trials.ts";
export { createProposals, type Proposals } from "./proposals.ts";
export type { KnownTrial, Searcher, TrialOutcome } from "./searcher.ts";
export { bestForImportance, exportStudy, LEAST_TRIALS_FOR_IMPORTANCE, parameterImportance } from "./study-tools.ts";
