/** The interface of search algorithms. */
import type { Parameters } from "../config/index.ts";

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
  reports: readonly { epoch: number; value: number; at: number }[];
  /** Null while it has not ended: it will run, again or for the first time. */
  outcome: TrialOutcome | null;
  /** In which order trials of a run were made, reported (`at`) and ended; any numbers that grow with time. */
  createdAt: number;
  endedAt: number;
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
