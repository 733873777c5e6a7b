/** Which search algorithm an experiment names. */
import type { OpenStudy, Study } from "../cluster/index.ts";
import type { Experiment } from "../config/index.ts";
import { needsStudy, studySearcher } from "./adaptive.ts";
import { createProposals } from "./proposals.ts";
import type { KnownTrial, Searcher } from "./searcher.ts";

export interface SearcherParts {
  /** All trials that were asked for before, in the order of their ids. */
  known: readonly KnownTrial[];
  /** Trials of other runs to learn from, see earlierTrials; of use where {@link needsStudy}. */
  earlier: readonly KnownTrial[];
  /** Called once, when it is first needed. */
  openStudy(open: OpenStudy): Promise<Study>;
}

/** The searcher that `search` names. */
export function createSearcher(experiment: Experiment, parts: SearcherParts): Searcher {
  const proposals = createProposals(
    experiment,
    parts.known.map(({ parameters }) => parameters),
  );
  if (needsStudy(experiment)) return studySearcher({ experiment, proposals, ...parts });
  return {
    remaining: proposals.remaining,
    ask: async () => proposals.next(),
    report: async () => "continue",
    tell: async () => {},
    close: async () => {},
  };
}
