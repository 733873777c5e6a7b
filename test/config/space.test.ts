/** Kinds of axes, conditions, and what is refused before any trial runs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  allows,
  axesOf,
  defineExperiment,
  type Experiment,
  type ExperimentInput,
  gridPoints,
  gridSize,
  valuesOf,
} from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";

type Search = NonNullable<ExperimentInput["search"]>;

function experimentOf(search: Search, more: Partial<ExperimentInput> = {}): Experiment {
  return defineExperiment({ name: "x", data: { dir: "records" }, search, ...more });
}

/** The message without the prefix of every line. */
function refusal(search: Search, more: Partial<ExperimentInput> = {}): string {
  try {
    experimentOf(search, more);
  } catch (error) {
    assert.ok(error instanceof DistmisError, String(error));
    return error.message.replaceAll("experiment: search.", "");
  }
  assert.fail("expected a refusal");
}

const random = (space: Search["space"]): Search => ({ sampler: "random", limits: { trials: 3 }, space });
const points = (search: Search): unknown[] => [...gridPoints(axesOf(experimentOf(search)))];

describe("axes", () => {
  it("step from the lower bound as a person writes the numbers", () => {
    const [axis] = axesOf(experimentOf({ space: { "train.beta1": { uniform: [0.8, 0.99], step: 0.05 } } }));
    assert.ok(axis);
    assert.deepEqual([...valuesOf(axis)], [0.8, 0.85, 0.9, 0.95]);
    assert.ok(allows(axis, 0.8 + 0.05 * 3));
    for (const value of [0.99, 0.81, 0.75, "0.8", Number.NaN]) assert.equal(allows(axis, value), false, String(value));
    const [far] = axesOf(experimentOf({ space: { "train.epsilon": { uniform: [100, 100.3], step: 0.1 } } }));
    assert.deepEqual(far && [...valuesOf(far)], [100, 100.1, 100.2, 100.3]);
  });

  it("are all combinations of whatever is not continuous", () => {
    assert.deepEqual(
      points({
        space: { "model.filters": { integer: [4, 12], step: 4 }, "model.norm": { choice: ["bn", "instance"] } },
      }),
      [4, 8, 12].flatMap((filters) =>
        ["batch", "instance"].map((norm) => ({ "model.filters": filters, "model.norm": norm })),
      ),
    );
  });

  it("occur once where they do not apply, behind the field that they hang on", () => {
    const space: Search["space"] = {
      "model.groups": { choice: [2, 4], when: { "model.norm": ["gn"] } },
      "model.norm": { choice: ["bn", "gn", "instance"] },
      "train.amsgrad": { grid: [true, false], when: { "model.norm": ["group", "batch"], "model.groups": [4] } },
    };
    const all = points({ space });
    assert.deepEqual(all, [
      { "model.norm": "batch" },
      { "model.norm": "group", "model.groups": 2 },
      { "model.norm": "group", "model.groups": 4, "train.amsgrad": true },
      { "model.norm": "group", "model.groups": 4, "train.amsgrad": false },
      { "model.norm": "instance" },
    ]);
    assert.equal(gridSize(axesOf(experimentOf({ space }))), all.length);
  });

  it("apply always or never by a field that is not searched", () => {
    const space: Search["space"] = {
      "model.groups": { choice: [2, 4], when: { "model.norm": ["group"] } },
      "train.amsgrad": { choice: [true, false], when: { "model.groups": [2] } },
    };
    assert.deepEqual(axesOf(experimentOf({ space })), []);
    const axes = axesOf(experimentOf({ space }, { model: { norm: "group" } }));
    assert.deepEqual(
      axes.map(({ path, when }) => [path, when]),
      [
        ["model.groups", []],
        ["train.amsgrad", [{ path: "model.groups", values: [2] }]],
      ],
    );
  });

  it("count without listing what nothing hangs on", () => {
    const many = experimentOf(
      random({ "train.seed": { integer: [0, 0x7fffffff] }, "train.epochs": { integer: [1, 9] } }),
    );
    assert.equal(gridSize(axesOf(many)), 0x80000000 * 9);
    const endless = experimentOf(random({ "train.learning_rate": { log_uniform: [1e-5, 1e-2] } }));
    assert.equal(gridSize(axesOf(endless)), Number.POSITIVE_INFINITY);
  });
});

describe("refused axes", () => {
  const cases: [string, Search["space"], RegExp][] = [
    [
      "two kinds",
      { "train.beta1": { uniform: [0.1, 0.2], grid: [0.1] } },
      /expected one of grid, choice, uniform, log_uniform, integer, found grid and uniform$/,
    ],
    ["no kind", { "train.beta1": { step: 0.1 } }, /^space\.train\.beta1: expected one of .*, found none$/],
    [
      "bounds the wrong way round",
      { "train.beta1": { uniform: [0.3, 0.2] } },
      /^space\.train\.beta1\.uniform: expected \[low, high\], the smaller one first, found \[0\.3,0\.2\]$/,
    ],
    ["one value", { "train.beta1": { uniform: [0.3, 0.3] } }, /; write one value in the field itself$/],
    [
      "a bound that the field refuses",
      { "train.beta1": { uniform: [0.3, 1] } },
      /^space\.train\.beta1\.uniform\[1\]: expected a number greater than 0 and less than 1, found 1$/,
    ],
    [
      "a logarithm of nothing",
      { "trainer.parameters.a": { log_uniform: [0, 1] } },
      /log_uniform\[0\]: expected a number greater than 0, as a logarithm has one, found 0$/,
    ],
    [
      "a step where none is",
      { "train.beta1": { log_uniform: [0.1, 0.2], step: 0.1 } },
      /step: expected it with uniform or integer, found it with log_uniform$/,
    ],
    [
      "log where none is",
      { "train.beta1": { uniform: [0.1, 0.2], log: true } },
      /log: expected it with integer, found it with uniform; write log_uniform$/,
    ],
    [
      "numbers of a whole field",
      { "train.epochs": { uniform: [1, 20] } },
      /uniform: train\.epochs takes whole numbers; write integer: \[1, 20\]$/,
    ],
    [
      "parts of a whole number",
      { "train.epochs": { integer: [1.5, 20] } },
      /integer\[0\]: expected a whole number, found 1\.5$/,
    ],
    [
      "steps of a logarithm",
      { "train.epochs": { integer: [1, 20], step: 2, log: true } },
      /step: expected none with log: true/,
    ],
    [
      "holes",
      { "model.kernel": { integer: [1, 5] } },
      /integer: expected 1, 3 or 5, found 2, which lies in it; write choice: \[\.\.\.\]$/,
    ],
    ["numbers of a name", { "model.norm": { integer: [1, 2] } }, /integer\[0\]: expected one of "batch".*, found 1$/m],
    [
      "a condition on nothing",
      { "train.beta1": { grid: [0.1], when: { "model.nrm": ["group"] } } },
      /when\.model\.nrm: unknown field; did you mean model\.norm\?$/,
    ],
    [
      "a condition that no field can meet",
      { "train.beta1": { grid: [0.1], when: { "model.norm": ["layer"] } } },
      /when\.model\.norm\[0\]: expected one of "batch", .*, found "layer"$/,
    ],
    [
      "a condition that the space can't meet",
      { "train.beta1": { grid: [0.1], when: { "model.norm": ["gn"] } }, "model.norm": { choice: ["bn", "none"] } },
      /when\.model\.norm\[0\]: expected a value that search\.space\.model\.norm can take, one of "batch", "none", found "gn"$/,
    ],
    [
      "a condition on a range",
      { "train.beta1": { grid: [0.1], when: { "train.beta2": [0.5] } }, "train.beta2": { uniform: [0.1, 0.9] } },
      /when\.train\.beta2: expected a field with values to name, found a number from 0\.1 to 0\.9$/,
    ],
    [
      "a circle",
      {
        "train.beta1": { grid: [0.1], when: { "train.beta2": [0.5] } },
        "train.beta2": { grid: [0.5], when: { "train.beta1": [0.1] } },
      },
      /when: expected conditions that end, found train\.beta1 when train\.beta2 when train\.beta1$/,
    ],
    [
      "itself",
      { "train.beta1": { grid: [0.1], when: { "train.beta1": [0.1] } } },
      /found train\.beta1 when train\.beta1$/,
    ],
  ];
  for (const [what, space, expected] of cases) {
    it(what, () => assert.match(refusal(random(space)), expected));
  }

  it("what sampler grid can't go through", () => {
    assert.match(
      refusal({ space: { "train.beta1": { uniform: [0.1, 0.2] } } }),
      /uniform: has no end of values, .*; give it a step, list them as grid: \[\.\.\.\], or set search\.sampler to random$/,
    );
    assert.match(refusal({ space: { "train.beta1": { log_uniform: [0.1, 0.2] } } }), /; list them as grid/);
  });
});

describe("contradictions", () => {
  it("are found by combination where the field applies", () => {
    const space = (groups: number[]): Search["space"] => ({
      "model.norm": { choice: ["batch", "group"] },
      "model.filters": { integer: [4, 16], step: 4 },
      "model.groups": { choice: groups, when: { "model.norm": ["group"] } },
    });
    experimentOf(random(space([2, 4])));
    assert.match(
      refusal(random(space([2, 8]))),
      /^space\.model\.groups: expected a divisor of model\.filters \(4\) .* found 8 \(in trials with model\.norm=group, model\.filters=4, model\.groups=8\)$/,
    );
  });

  it("are found at the bounds of what is continuous", () => {
    const space: Search["space"] = { "train.warmup_epochs": { uniform: [0, 5] }, "train.epochs": { integer: [4, 40] } };
    assert.match(
      refusal(random(space)),
      /train\.warmup_epochs: expected less than train\.epochs \(4\), found 5 \(in trials with train\.warmup_epochs=5, train\.epochs=4\)$/,
    );
    experimentOf(random({ ...space, "train.epochs": { integer: [6, 40] } }));
  });

  it("are not looked for without an end", () => {
    assert.match(
      refusal(random({ "model.groups": { integer: [1, 100_000_000] } })),
      /^space: expected at most 1000000 combinations of model\.groups, which may contradict each other, found 100000000/,
    );
  });
});

describe("limits and warm start", () => {
  const space: Search["space"] = { "train.beta1": { uniform: [0.1, 0.9] } };

  it("a search without an end is refused", () => {
    assert.match(refusal({ sampler: "random", space }), /^limits: expected an end for sampler random, one of trials, /);
    experimentOf({ sampler: "random", space: { "train.amsgrad": { choice: [true, false] } } });
    experimentOf({ sampler: "random", space, limits: { wall_hours: 1 } });
  });

  it("GPU hours need GPUs", () => {
    assert.match(
      refusal({ limits: { gpu_hours: 3 } }, { resources: { gpus_per_replica: 0 } }),
      /^limits\.gpu_hours: counts GPUs, and resources\.gpus_per_replica is 0; expected wall_hours or trials in its place$/,
    );
  });

  it("a grid of many is bounded by its trials", () => {
    const many: Search["space"] = { "train.seed": { integer: [1, 1_000_000] } };
    assert.match(refusal({ space: many }), /^space: expected at most 100000 trials, found a grid of 1000000$/);
    experimentOf({ space: many, limits: { trials: 10 } });
  });

  it("configurations are completed by the experiment's own values", () => {
    const { search } = experimentOf(
      {
        sampler: "random",
        limits: { trials: 3 },
        space: {
          "model.groups": { choice: [2, 4], when: { "model.norm": ["gn"] } },
          "model.norm": { choice: ["bn", "gn"] },
          "train.beta1": { uniform: [0.1, 0.9] },
        },
        warm_start: { configurations: [{ "model.norm": "gn" }, { "model.norm": "bn", "train.beta1": 0.3 }] },
      },
      { model: { groups: 2 } },
    );
    assert.deepEqual(search.warm_start.configurations, [
      { "model.norm": "group", "model.groups": 2, "train.beta1": 0.9 },
      { "model.norm": "batch", "train.beta1": 0.3 },
    ]);
  });

  it("configurations lie in the space", () => {
    const warm = (...configurations: Record<string, number | string>[]) =>
      refusal({
        space: {
          "model.norm": { choice: ["bn", "gn"] },
          "model.groups": { choice: [1, 2], when: { "model.norm": ["gn"] } },
        },
        warm_start: { configurations },
      }).replaceAll("warm_start.configurations", "");
    assert.equal(
      warm({ "model.norm": "instance" }),
      '[0].model.norm: expected one of "batch", "group", found "instance"',
    );
    assert.equal(warm({ "model.nor": "bn" }), "[0].model.nor: unknown field; did you mean model.norm?");
    assert.equal(warm({ "train.epochs": 3 }), "[0].train.epochs: is not searched; expected a field of search.space");
    assert.equal(
      warm({ "model.norm": "bn", "model.groups": 2 }),
      '[0].model.groups: has no effect here: it is searched with model.norm "group"',
    );
    assert.equal(
      warm({ "model.norm": "gn" }),
      "[0].model.groups: expected one of 1, 2, found 4, the experiment's own value",
    );
    assert.equal(warm({ "model.norm": "bn" }, { "model.norm": "batch" }), "[1]: the same as configurations[0]");
  });
});
