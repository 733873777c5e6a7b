/** Options of adaptive samplers and of pruners: which of them has which, their defaults (Optuna's), and what they hang on. */
import { nearest, shown } from "./describe.ts";
import type { Problem } from "./problems.ts";
import type { Experiment } from "./schema.ts";
import type { PrunerConfig, SamplerOptions } from "./search-schema.ts";
import { axesOf } from "./space.ts";

/** Samplers that learn from results. */
const ADAPTIVE = ["tpe", "cmaes", "qmc"] as const;
export type AdaptiveSampler = (typeof ADAPTIVE)[number];

export function isAdaptive(sampler: string): sampler is AdaptiveSampler {
  return ADAPTIVE.some((name) => name === sampler);
}

/** By sampler; null: it has the option, whose absence says something. */
const SAMPLER_OPTIONS: Record<string, { [option in keyof SamplerOptions]?: SamplerOptions[option] | null }> = {
  tpe: { startup_trials: 10, multivariate: true },
  cmaes: { startup_trials: 1, population: null },
};

type PrunerOptions = Omit<PrunerConfig, "kind">;

const PRUNER_OPTIONS: Record<PrunerConfig["kind"], PrunerOptions> = {
  median: { startup_trials: 5, warmup_epochs: 0, interval: 1 },
  percentile: { percentile: 25, startup_trials: 5, warmup_epochs: 0, interval: 1 },
  asha: { min_epochs: 1, reduction_factor: 4, min_early_stopping_rate: 0 },
  hyperband: { min_epochs: 1, reduction_factor: 3 },
};

/** The most epochs that a trial of the experiment can have. */
export function mostEpochs(experiment: Experiment): number {
  const axis = axesOf(experiment).find(({ path }) => path === "train.epochs");
  if (axis === undefined) return experiment.train.epochs;
  const searched = axis.kind === "categorical" ? axis.values.map(Number) : [axis.high];
  return Math.max(...searched, ...(axis.when.length === 0 ? [] : [experiment.train.epochs]));
}

/** What is wrong with them, in a search whose space is legal. Options that are not given are filled in. */
export function checkStudyOptions(experiment: Experiment): Problem[] {
  const { search } = experiment;
  const problems: Problem[] = [];
  if (search.sampler_options !== undefined) {
    problems.push(...foreign("sampler", search.sampler, search.sampler_options, SAMPLER_OPTIONS[search.sampler] ?? {}));
  }
  problems.push(...checkSampler(experiment));
  const { pruner } = search;
  if (pruner !== undefined) {
    const { kind, ...options } = pruner;
    const known = PRUNER_OPTIONS[kind];
    problems.push(...foreign("pruner", kind, options, known));
    search.pruner = { kind, ...known, ...options };
    problems.push(...checkPruner(experiment, search.pruner));
  }
  if (isAdaptive(search.sampler) && problems.length === 0) {
    const defaults = Object.entries(SAMPLER_OPTIONS[search.sampler] ?? {}).filter(([, value]) => value !== null);
    search.sampler_options = { ...Object.fromEntries(defaults), ...search.sampler_options };
  }
  return problems;
}

/** Options that another sampler or pruner has. */
function foreign(section: "sampler" | "pruner", kind: string, given: object, known: object): Problem[] {
  const names = Object.keys(known);
  return Object.keys(given)
    .filter((name) => !names.includes(name))
    .map((name) => {
      const guess = nearest(name, names);
      const expected = names.length === 0 ? "it has no options" : `expected one of ${names.join(", ")}`;
      return {
        path: ["search", section === "sampler" ? "sampler_options" : section, name],
        message: `not an option of ${section} ${kind}; ${guess === undefined ? expected : `did you mean ${guess}?`}`,
      };
    });
}

function checkSampler(experiment: Experiment): Problem[] {
  const { sampler } = experiment.search;
  if (!isAdaptive(sampler)) return [];
  const axes = axesOf(experiment);
  if (axes.length === 0) {
    return [{ path: ["search", "space"], message: `expected fields for sampler ${sampler} to search, found none` }];
  }
  if (sampler === "cmaes" && axes.every((axis) => axis.kind === "categorical" || axis.when.length > 0)) {
    const message =
      "expected a field with uniform, log_uniform or integer and without when: it draws no others, found none";
    return [{ path: ["search", "space"], message: `sampler cmaes: ${message}; use tpe` }];
  }
  return [];
}

function checkPruner(experiment: Experiment, { kind, warmup_epochs = 0, min_epochs = 1 }: PrunerConfig): Problem[] {
  const epochs = mostEpochs(experiment);
  const late = (option: string, found: number, most: number): Problem[] =>
    found <= most
      ? []
      : [
          {
            path: ["search", "pruner", option],
            message: `expected at most ${most}, as trials have ${epochs} epochs (train.epochs), found ${shown(found)}`,
          },
        ];
  if (kind === "hyperband") return late("min_epochs", min_epochs, epochs);
  // A trainer of the user's own may report as often as it likes.
  if (experiment.trainer.module !== undefined) return [];
  return kind === "asha"
    ? late("min_epochs", min_epochs, epochs - 1)
    : late("warmup_epochs", warmup_epochs, epochs - 1);
}
