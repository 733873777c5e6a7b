/** What is known of the trials of a search before they run. */
import { axesOf, type Experiment, valuesOf } from "../config/index.ts";
import type { RunState } from "../run-folder/index.ts";
import { createProposals } from "../search/index.ts";

/** How many trials there will be in all; null if that is open. */
export function plannedTrials(state: RunState, experiment: Experiment): number | null {
  const made = [...state.trials.values()].map(({ parameters }) => parameters);
  const limit = experiment.search.limits.trials ?? Number.POSITIVE_INFINITY;
  const more = state.finished ? 0 : createProposals(experiment, made).remaining();
  const trials = Math.max(made.length, Math.min(made.length + more, limit));
  return Number.isFinite(trials) ? trials : null;
}

/** The numbers of replicas that trials of the experiment have. */
export function replicasOfTrials(experiment: Experiment): number[] {
  const own = experiment.resources.replicas;
  const axis = axesOf(experiment).find(({ path }) => path === "resources.replicas");
  if (axis === undefined) return [own];
  const searched = [...valuesOf(axis)].map(Number);
  return axis.when.length === 0 ? searched : [...new Set([...searched, own])];
}
