import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineExperiment, type ExperimentInput, mostEpochs } from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";

type Search = NonNullable<ExperimentInput["search"]>;

const SPACE: Search["space"] = { "train.learning_rate": { log_uniform: [1e-4, 1e-2] } };

function experimentOf(search: Search, more: Partial<ExperimentInput> = {}) {
  return defineExperiment({
    name: "x",
    data: { dir: "records" },
    search: { sampler: "tpe", limits: { trials: 9 }, space: SPACE, ...search },
    ...more,
  });
}

/** The problems, without their common prefix. */
function refusal(search: Search, more: Partial<ExperimentInput> = {}): string[] {
  try {
    experimentOf(search, more);
  } catch (error) {
    assert.ok(error instanceof DistmisError && error.code === "CONFIG_INVALID", String(error));
    return error.message.split("\n").map((line) => line.replace("experiment: search.", ""));
  }
  return [];
}

describe("options of samplers and pruners", () => {
  it("are filled in", () => {
    const options = (search: Search) => {
      const { sampler_options, pruner } = experimentOf(search).search;
      return { sampler_options, pruner };
    };
    assert.deepEqual(options({ sampler_options: { startup_trials: 3 }, pruner: { kind: "asha", min_epochs: 2 } }), {
      sampler_options: { startup_trials: 3, multivariate: true },
      pruner: { kind: "asha", min_epochs: 2, reduction_factor: 4, min_early_stopping_rate: 0 },
    });
    assert.deepEqual(options({ sampler: "cmaes", pruner: { kind: "percentile" } }), {
      sampler_options: { startup_trials: 1 },
      pruner: { kind: "percentile", percentile: 25, startup_trials: 5, warmup_epochs: 0, interval: 1 },
    });
    assert.deepEqual(options({ sampler: "qmc", pruner: { kind: "hyperband" } }), {
      sampler_options: {},
      pruner: { kind: "hyperband", min_epochs: 1, reduction_factor: 3 },
    });
    assert.deepEqual(options({ sampler: "random", pruner: { kind: "median" } }), {
      sampler_options: undefined,
      pruner: { kind: "median", startup_trials: 5, warmup_epochs: 0, interval: 1 },
    });
  });

  it("are refused where they are another's", () => {
    assert.deepEqual(refusal({ sampler_options: { population: 9 }, pruner: { kind: "median", percentile: 3 } }), [
      "sampler_options.population: not an option of sampler tpe; expected one of startup_trials, multivariate",
      "pruner.percentile: not an option of pruner median; expected one of startup_trials, warmup_epochs, interval",
    ]);
    assert.deepEqual(refusal({ sampler: "random", sampler_options: { startup_trials: 9 } }), [
      "sampler_options.startup_trials: not an option of sampler random; it has no options",
    ]);
    assert.deepEqual(refusal({ pruner: { kind: "asha", warmup_epochs: 3 } }), [
      "pruner.warmup_epochs: not an option of pruner asha; expected one of min_epochs, reduction_factor, min_early_stopping_rate",
    ]);
  });

  it("are refused where their values make no sense", () => {
    assert.deepEqual(refusal({ pruner: { kind: "asha", reduction_factor: 1 } }), [
      "pruner.reduction_factor: expected a whole number of at least 2, found 1",
    ]);
    const epochs = { train: { epochs: 5 } };
    assert.deepEqual(refusal({ pruner: { kind: "median", warmup_epochs: 5 } }, epochs), [
      "pruner.warmup_epochs: expected at most 4, as trials have 5 epochs (train.epochs), found 5",
    ]);
    assert.deepEqual(refusal({ pruner: { kind: "asha", min_epochs: 5 } }, epochs), [
      "pruner.min_epochs: expected at most 4, as trials have 5 epochs (train.epochs), found 5",
    ]);
    assert.deepEqual(refusal({ pruner: { kind: "hyperband", min_epochs: 6 } }, epochs), [
      "pruner.min_epochs: expected at most 5, as trials have 5 epochs (train.epochs), found 6",
    ]);
    assert.deepEqual(refusal({ pruner: { kind: "hyperband", min_epochs: 5 } }, epochs), []);
  });

  it("are refused to adaptive samplers without something to draw or an end", () => {
    assert.deepEqual(refusal({ space: {} }), ["space: expected fields for sampler tpe to search, found none"]);
    const choices: Search = { space: { "model.norm": { choice: ["batch", "group"] } } };
    assert.deepEqual(refusal({ ...choices, sampler: "cmaes" }), [
      "space: sampler cmaes: expected a field with uniform, log_uniform or integer and without when: it draws no others, found none; use tpe",
    ]);
    assert.deepEqual(refusal({ ...choices, sampler: "qmc", limits: {} }), [
      "limits: expected an end for sampler qmc, one of trials, wall_hours, gpu_hours, target, plateau, found none",
    ]);
  });
});

describe("mostEpochs", () => {
  it("is that of the trial that has most", () => {
    const most = (space: Search["space"]) => mostEpochs(experimentOf({ space }, { train: { epochs: 20 } }));
    assert.equal(most(SPACE), 20);
    assert.equal(most({ "train.epochs": { choice: [5, 8] } }), 8);
    assert.equal(most({ "train.epochs": { integer: [5, 30] } }), 30);
    const norm: Search["space"] = { "model.norm": { choice: ["batch", "group"] } };
    assert.equal(most({ ...norm, "train.epochs": { choice: [5, 8], when: { "model.norm": ["group"] } } }), 20);
  });
});
