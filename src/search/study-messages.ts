/** What a study is told: the experiment's space, sampler and pruner, and the trials that are known. */
import {
  type OpenStudy,
  StudyDirection,
  type StudyEvent,
  StudyOutcome,
  type StudyParameter,
  studyValue,
  studyValues,
  type TrialFinish,
} from "../cluster/index.ts";
import {
  type Axis,
  axesOf,
  type Experiment,
  isAdaptive,
  mostEpochs,
  type Parameters,
  pointIn,
} from "../config/index.ts";
import { keyOf } from "./draws.ts";
import type { KnownTrial, TrialOutcome } from "./searcher.ts";

type Sampler = NonNullable<OpenStudy["sampler"]>;
type Pruner = NonNullable<OpenStudy["pruner"]>;

/** How a study of the experiment is opened. */
export function openingOf(experiment: Experiment): OpenStudy {
  const { mode } = experiment.search;
  return {
    name: experiment.name,
    direction: mode === "max" ? StudyDirection.STUDY_DIRECTION_MAXIMIZE : StudyDirection.STUDY_DIRECTION_MINIMIZE,
    parameters: axesOf(experiment).map(parameterOf),
    sampler: samplerOf(experiment),
    pruner: prunerOf(experiment),
  };
}

function parameterOf(axis: Axis): StudyParameter {
  const when = axis.when.map(({ path, values }) => ({ parameter: path, values: values.map(studyValue) }));
  return { name: axis.path, values: valuesOf(axis), when };
}

function valuesOf(axis: Axis): StudyParameter["values"] {
  if (axis.kind === "categorical") return { $case: "choices", value: { values: axis.values.map(studyValue) } };
  const { low, high, log } = axis;
  return axis.kind === "integer"
    ? { $case: "integer", value: { low, high, step: axis.step, log } }
    : { $case: "float", value: { low, high, step: axis.step ?? 0, log } };
}

function samplerOf({ search }: Experiment): Sampler {
  const { sampler, seed, sampler_options: options = {} } = search;
  const { startup_trials: startupTrials = 1, multivariate = true, population = 0 } = options;
  switch (sampler) {
    case "tpe":
      return { seed, kind: { $case: "tpe", value: { startupTrials, multivariate } } };
    case "cmaes":
      return { seed, kind: { $case: "cmaes", value: { startupTrials, population } } };
    case "qmc":
      return { seed, kind: { $case: "qmc", value: {} } };
    default:
      return { seed, kind: { $case: "given", value: {} } };
  }
}

const MEDIAN = 50;

function prunerOf(experiment: Experiment): Pruner | undefined {
  const { pruner } = experiment.search;
  if (pruner === undefined) return undefined;
  const { startup_trials: startupTrials = 0, warmup_epochs: warmupEpochs = 0, interval = 1 } = pruner;
  const { min_epochs: minEpochs = 1, reduction_factor: reductionFactor = 2 } = pruner;
  const { percentile = MEDIAN, min_early_stopping_rate: minEarlyStoppingRate = 0 } = pruner;
  switch (pruner.kind) {
    case "median":
    case "percentile":
      return { kind: { $case: "percentile", value: { percentile, startupTrials, warmupEpochs, interval } } };
    case "asha":
      return { kind: { $case: "successiveHalving", value: { minEpochs, reductionFactor, minEarlyStoppingRate } } };
    case "hyperband": {
      const maxEpochs = mostEpochs(experiment);
      return { kind: { $case: "hyperband", value: { minEpochs, maxEpochs, reductionFactor } } };
    }
  }
}

const OUTCOMES: Record<TrialOutcome["state"], StudyOutcome> = {
  completed: StudyOutcome.STUDY_OUTCOME_COMPLETED,
  failed: StudyOutcome.STUDY_OUTCOME_FAILED,
  pruned: StudyOutcome.STUDY_OUTCOME_PRUNED,
};

export function finishOf({ state, value }: TrialOutcome): TrialFinish {
  return { outcome: OUTCOMES[state], ...(value === null ? {} : { value }) };
}

/** What the trials of a run have told a study. */
export interface KnownEvents {
  /** In the order of then; their times are those of the known trials. */
  events: StudyEvent[];
  /** Ids of trials that the study does not know, as the space does not hold them. */
  unknown: Set<string>;
}

/** @param withReports whether values by epoch are of use, as for a pruner */
export function knownEvents(experiment: Experiment, known: readonly KnownTrial[], withReports: boolean): KnownEvents {
  const { sampler, warm_start: warm } = experiment.search;
  const axes = axesOf(experiment);
  const configured = new Set(warm.configurations.map(keyOf));
  const drawn = (point: Parameters): boolean => isAdaptive(sampler) && !configured.has(keyOf(point));
  const unknown = new Set<string>();
  const all = known.flatMap((trial): { at: number; event: NonNullable<StudyEvent["event"]> }[] => {
    const { id, outcome } = trial;
    const point = pointIn(experiment, axes, trial.parameters);
    if (point === null) {
      unknown.add(id);
      return [];
    }
    const parameters = studyValues(point);
    const reports = trial.reports.map(({ at, epoch, value }) => ({
      at,
      event: { $case: "report" as const, value: { trial: id, at: { epoch, value } } },
    }));
    const goesOn =
      withReports && trial.endedAt > 0
        ? [{ at: trial.endedAt, event: { $case: "goOn" as const, value: { trial: id } } }]
        : [];
    return [
      { at: trial.createdAt, event: { $case: "begin", value: { trial: id, parameters, drawn: drawn(point) } } },
      ...(withReports ? reports : []),
      ...(outcome === null
        ? goesOn
        : [{ at: trial.endedAt, event: { $case: "tell" as const, value: { trial: id, finish: finishOf(outcome) } } }]),
    ];
  });
  const events = all.toSorted((a, b) => a.at - b.at).map(({ event, at: time }) => ({ event, time }));
  return { events, unknown };
}

/** Ended trials of earlier runs, whose parameters are points of this space. */
export function warmEvents(earlier: readonly KnownTrial[]): StudyEvent[] {
  return earlier.flatMap(({ parameters, reports, outcome }) => {
    if (outcome === null) return [];
    const value = {
      parameters: studyValues(parameters),
      reports: reports.map(({ epoch, value: reported }) => ({ epoch, value: reported })),
      finish: finishOf(outcome),
    };
    return [{ event: { $case: "warm", value }, time: 0 }];
  });
}
