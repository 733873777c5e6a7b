/** What a searcher is told of trials that a journal knows: those of this run, and those of the runs that it learns from. */
import { axesOf, type Experiment, pointIn } from "../config/index.ts";
import { DistmisError } from "../errors/index.ts";
import { bestEpoch, type RunState, readRun, type TrialState } from "../run-folder/index.ts";
import type { KnownTrial, TrialOutcome } from "./searcher.ts";

/** All trials of a run, in the order of their ids. */
export function knownTrials({ trials }: RunState, experiment: Experiment): KnownTrial[] {
  return [...trials.values()].map((trial) => ({
    id: trial.id,
    parameters: trial.parameters,
    reports: [...trial.values].map(({ epoch, value, at }) => ({ epoch, value, at })),
    outcome: outcomeOf(trial, experiment),
    createdAt: trial.createdAt,
    endedAt: trial.endedAt,
  }));
}

/** What a searcher is told of a trial that has ended; null if it has not. */
export function outcomeOf(trial: TrialState, experiment: Experiment): TrialOutcome | null {
  const { state } = trial;
  if (state === "waiting" || state === "running") return null;
  return { state, value: bestEpoch(trial, experiment.search.mode)?.value ?? null };
}

export interface EarlierTrials {
  /** Trials that have ended and are points of the space, with their parameters there; ids are those of their runs. */
  trials: KnownTrial[];
  /** For each run a line for a person: how many of its trials are of use. */
  remarks: string[];
}

/**
 * The trials of `search.warm_start.runs`. Fields that are searched here and were not there count with the value they had.
 *
 * @throws DistmisError FILE_UNUSABLE, RUN_REFUSED if a run can't be read; CONFIG_INVALID if it ranks trials by something else
 */
export async function earlierTrials(experiment: Experiment): Promise<EarlierTrials> {
  const { warm_start: warm, metric, mode } = experiment.search;
  const axes = axesOf(experiment);
  const found: EarlierTrials = { trials: [], remarks: [] };
  for (const run of warm.runs) {
    const { experiment: earlier, state } = await readRun(run);
    if (earlier.search.metric !== metric || earlier.search.mode !== mode) {
      const { metric: theirs, mode: way } = earlier.search;
      throw new DistmisError(
        "CONFIG_INVALID",
        `search.warm_start.runs: ${run} ranks its trials by ${theirs} (${way}), expected ${metric} (${mode}) as this search`,
      );
    }
    const ended = knownTrials(state, earlier).filter(({ outcome }) => outcome !== null);
    const usable = ended.flatMap((trial) => {
      const parameters = pointIn(earlier, axes, trial.parameters);
      return parameters === null ? [] : [{ ...trial, parameters }];
    });
    found.trials.push(...usable);
    found.remarks.push(
      `warm start: ${usable.length} of ${ended.length} ended trials of ${run} lie in this search space`,
    );
  }
  return found;
}
