/** Search algorithms: where the parameters of the next trial come from, and which trials end early. */
export { type EarlierTrials, earlierTrials, knownTrials, outcomeOf } from "./known-trials.ts";
export { createProposals, type Proposals } from "./proposals.ts";
export { createSearcher, type KnownTrial, type Searcher, type TrialOutcome } from "./searcher.ts";
