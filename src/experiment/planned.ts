/** What is known of the trials of a search before they run. */
import { axesOf, type Experiment, valuesOf } from "../config/index.ts";
import type { RunState } from "../run-folder/index.ts";
import { createProposals } from "../search/index.ts";

/** How many trials there will be in all; null if that is open. */
export function plannedTrials(state: RunState, experiment: Experiment): number | null {
  const made = state.trials.size;
  const more = state.finished ? 0 : moreTrials(state, experiment);
  const limit = experiment.search.limits.trials ?? Number.POSITIVE_INFINITY;
  const trials = Math.max(made, Math.min(made + more, limit));
  return Number.isFinite(trials) ? trials : null;
}

/** That the limit of trials kept the search from making more, in words; null if it did not. */
export function trialLimit(state: RunState, experiment: Experiment): string | null {
  const limit = experiment.search.limits.trials ?? Number.POSITIVE_INFINITY;
  return state.trials.size >= limit && moreTrials(state, experiment) > 0
    ? `search.limits.trials: ${limit} trials`
    : null;
}

/** How many the sampler would add to those that were made. */
function moreTrials({ trials }: RunState, experiment: Experiment): number {
  const made = [...trials.values()].map(({ parameters }) => parameters);
  return createProposals(experiment, made).remaining();
}

/** The numbers of replicas that trials of the experiment have. */
export function replicasOfTrials(experiment: Experiment): number[] {
  const own = experiment.resources.replicas;
  const axis = axesOf(experiment).find(({ path }) => path === "resources.replicas");
  if (axis === undefined) return [own];
  const searched = [...valuesOf(axis)].map(Number);
  return axis.when.length === 0 ? searched : [...new Set([...searched, own])];
}
