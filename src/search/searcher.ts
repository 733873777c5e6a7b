/** The interface of search algorithms, and which one an experiment names. */
import type { Experiment, Parameters } from "../config/index.ts";
import { createProposals } from "./proposals.ts";

/** What a searcher learns of a trial that has ended. */
export interface TrialOutcome {
  /** `pruned`: ended early by the searcher's own word. */
  state: "completed" | "failed" | "pruned";
  /** Best value of `search.metric` over the epochs; null if it never reported one. */
  value: number | null;
}

/** A trial of an earlier part of the run. */
export interface KnownTrial {
  id: string;
  parameters: Parameters;
  /** Values of `search.metric` by epoch, in their order. */
  reports: readonly { epoch: number; value: number }[];
  /** Null while it has not ended: it will run, again or for the first time. */
  outcome: TrialOutcome | null;
}

/**
 * Asked for trials and told how they do; keeps nothing on disk. When a run continues, a new searcher is made with all trials
 * that the journal knows, in the order of their ids, and goes on as the old one would have.
 */
export interface Searcher {
  /** How many more trials `ask` will give; Infinity if that is open. */
  remaining(): number;
  /** Parameters of the next trial, which gets this id; null when there are no more. May wait for what is told. */
  ask(trial: string): Promise<Parameters | null>;
  /** A running trial's value after an epoch; an epoch may be told again when a trial is repeated. The answer: whether it goes on. */
  report(trial: string, epoch: number, value: number): Promise<"continue" | "prune">;
  /** A trial has ended. */
  tell(trial: string, outcome: TrialOutcome): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

/**
 * The searcher that `search.sampler` names.
 * @param known all trials that were asked for before, in the order of their ids
 */
export function createSearcher(experiment: Experiment, known: readonly KnownTrial[]): Searcher {
  const proposals = createProposals(
    experiment,
    known.map(({ parameters }) => parameters),
  );
  return {
    remaining: proposals.remaining,
    ask: async () => proposals.next(),
    report: async () => "continue",
    tell: async () => {},
    close: async () => {},
  };
}
