/** What a search space may hold, as an experiment file says it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { axesOf, defineExperiment, gridPoints, loadExperiment, trialConfig } from "../../src/config/index.ts";
import { experimentFiles, valid } from "./experiment-files.ts";

const made = experimentFiles();
const { write, refusal } = made;

describe("search space", () => {
  it("refuses fields that do not exist or can't be searched", async () => {
    const space = (text: string) => refusal(`${valid}search:\n  space:\n    ${text}`);
    assert.equal(
      await space("learning_rate: { grid: [1] }"),
      "exp.yaml:5: search.space.learning_rate: unknown field; did you mean train.learning_rate?",
    );
    assert.match(await space("train.epoch: { grid: [1] }"), /did you mean train\.epochs\?$/);
    assert.match(
      await space("resources.gpus_per_replica: { grid: [1] }"),
      /can't be searched: all trials of a search share it/,
    );
    assert.match(await space("model: { grid: [1] }"), /is a section; expected a field in it, one of model\.filters, /);
    assert.match(await space("train.epochs: { grid: [] }"), /grid: expected a list of at least one value, found \[\]/);
  });

  it("checks every value against its field", async () => {
    assert.equal(
      await refusal(
        `${valid}search:\n  space:\n    train.learning_rate:\n      grid:\n        - 1e-3\n        - 0\n        - quick`,
      ),
      "exp.yaml:8: search.space.train.learning_rate.grid[1]: expected a number greater than 0, found 0\n" +
        'exp.yaml:9: search.space.train.learning_rate.grid[2]: expected a number greater than 0, found "quick"',
    );
    assert.match(
      await refusal(`${valid}search: { space: { model.norm: { grid: [bn, batch] } } }`),
      /grid\[1\]: the same value as grid\[0\]/,
    );
  });

  it("may have trials of different sizes", async () => {
    const experiment = await loadExperiment(
      await write(`${valid}search: { space: { resources.replicas: { grid: [1, 2, 4] } } }`),
    );
    const trials = [...gridPoints(axesOf(experiment))].map((point) => trialConfig(experiment, point));
    assert.deepEqual(
      trials.map(({ resources }) => resources.replicas),
      [1, 2, 4],
    );
    assert.match(
      await refusal(`${valid}search: { space: { resources.replicas: { grid: [0] } } }`),
      /replicas\.grid\[0\]: expected a whole number from 1 to 1024, found 0$/,
    );
    assert.match(
      await refusal(
        `${valid}resources: { elastic: { min: 2, max: 4 } }\nsearch: { space: { resources.replicas: { grid: [4, 8] } } }`,
      ),
      /resources\.replicas: expected a whole number from resources\.elastic\.min \(2\) to resources\.elastic\.max \(4\), found 8 \(in trials with resources\.replicas=8\)$/,
    );
  });

  it("checks combinations and the size of the grid", async () => {
    assert.match(
      await refusal(
        `${valid}search: { space: { model.norm: { grid: [batch, group] }, model.filters: { grid: [8, 6] } } }`,
      ),
      /model\.groups: expected a divisor of model\.filters \(6\) .* found 4 \(in trials with model\.norm=group, model\.filters=6\)$/,
    );
    assert.match(
      await refusal(`${valid}train: { warmup_epochs: 2.5 }\nsearch: { space: { train.epochs: { grid: [3, 2] } } }`),
      /train\.warmup_epochs: expected less than train\.epochs \(2\), found 2\.5 \(in trials with train\.epochs=2\)$/,
    );
    const many = JSON.stringify(Array.from({ length: 400 }, (_, index) => index + 1));
    assert.match(
      await refusal(`${valid}search: { space: { train.epochs: { grid: ${many} }, train.seed: { grid: ${many} } } }`),
      /search\.space: expected at most 100000 trials, found a grid of 160000$/,
    );
  });

  it("may search the fields of a section that is left out", async () => {
    const file = await write(
      `${valid}search: { space: { train.early_stopping.patience: { grid: [3, 5] }, train.optimizer: { grid: [adamw, sgd] } } }`,
    );
    const experiment = await loadExperiment(file);
    assert.equal(experiment.train.early_stopping, undefined);
    const trials = [...gridPoints(axesOf(experiment))].map((point) => trialConfig(experiment, point).train);
    assert.deepEqual(
      trials.map(({ early_stopping, optimizer }) => ({ ...early_stopping, optimizer })),
      [
        { patience: 3, min_delta: 0, optimizer: "adamw" },
        { patience: 3, min_delta: 0, optimizer: "sgd" },
        { patience: 5, min_delta: 0, optimizer: "adamw" },
        { patience: 5, min_delta: 0, optimizer: "sgd" },
      ],
    );
    assert.match(
      await refusal(`${valid}search: { space: { train.early_stopping.patience: { grid: [0] } } }`),
      /patience\.grid\[0\]: expected a whole number of at least 1, found 0$/,
    );
  });

  it("may search the parameters of a trainer module", () => {
    const experiment = defineExperiment({
      name: "x",
      trainer: { module: "m.mjs", parameters: { a: 1 } },
      search: { space: { "trainer.parameters.a": { grid: [1, "b"] }, "trainer.parameters.deep.c": { grid: [true] } } },
    });
    const configs = [...gridPoints(axesOf(experiment))].map((point) => trialConfig(experiment, point));
    assert.deepEqual(
      configs.map((config) => config.trainer.parameters),
      [
        { a: 1, deep: { c: true } },
        { a: "b", deep: { c: true } },
      ],
    );
    assert.equal("search" in (configs[0] ?? {}), false);
  });

  it("refuses configurations that are too large for a message to a trainer, by the largest field", () => {
    const define = (parameters: Record<string, unknown>, grid: string[]) =>
      defineExperiment({
        name: "x",
        trainer: { module: "m.mjs", parameters },
        search: { space: { "trainer.parameters.c": { grid } } },
      });
    const text = (length: number) => "x".repeat(length);
    const expected = "expected configurations of at most 15.7 MB as JSON, found";
    const rest = "put it in a file that all nodes see, and its path here";
    for (const [refused, field, found] of [
      [
        () => define({ a: 1, b: { weights: text(17e6) } }, [""]),
        "trainer.parameters.b.weights",
        "17.0 MB, of which this has 17.0 MB",
      ],
      [
        () => define({ a: text(7e6) }, [text(9e6), ""]),
        "search.space.trainer.parameters.c",
        "16.0 MB, of which this has 9.0 MB",
      ],
    ] as const)
      assert.throws(refused, {
        code: "CONFIG_INVALID",
        message: `experiment: ${field}: ${expected} ${found}; ${rest}`,
      });
    // A trial has one of them.
    define({ a: text(7e6) }, [text(8e6), text(8e6 - 1)]);
  });

  it("is one trial when empty", () => {
    assert.deepEqual([...gridPoints([])], [{}]);
  });
});
