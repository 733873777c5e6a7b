/** The order of trials of grid and random search, at once and in parts, with given configurations. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineExperiment, type Experiment, type ExperimentInput, type Parameters } from "../../src/config/index.ts";
import { createProposals } from "../../src/search/index.ts";

type Search = NonNullable<ExperimentInput["search"]>;

function experimentOf(search: Search): Experiment {
  return defineExperiment({ name: "x", data: { dir: "records" }, model: { groups: 2 }, search });
}

/** The next `count` parameters after those of `known`. */
function draw(experiment: Experiment, count: number, known: readonly Parameters[] = []): Parameters[] {
  const proposals = createProposals(experiment, known);
  const found: Parameters[] = [];
  while (found.length < count) {
    const before = proposals.remaining();
    const next = proposals.next();
    if (next === null) {
      assert.equal(before, 0);
      break;
    }
    assert.equal(proposals.remaining(), before - 1);
    found.push(next);
  }
  return found;
}

const finite: Search["space"] = {
  "model.norm": { choice: ["bn", "gn"] },
  "model.groups": { choice: [2, 4], when: { "model.norm": ["gn"] } },
  "train.beta1": { uniform: [0.8, 0.9], step: 0.05 },
};
const endless: Search["space"] = {
  "train.learning_rate": { log_uniform: [1e-5, 1e-2] },
  "train.beta1": { uniform: [0.5, 0.9] },
  "model.norm": { choice: ["bn", "gn"] },
  "model.groups": { choice: [2, 4], when: { "model.norm": ["gn"] } },
};
const given = { "model.norm": "gn", "model.groups": 4, "train.beta1": 0.85 };

describe("grid", () => {
  it("goes through all combinations, the given ones first and once", () => {
    const experiment = experimentOf({ space: finite, warm_start: { configurations: [given] } });
    const all = draw(experiment, 100);
    assert.equal(all.length, 9);
    assert.deepEqual(all[0], { ...given, "model.norm": "group" });
    assert.deepEqual(all[1], { "model.norm": "batch", "train.beta1": 0.8 });
    assert.equal(new Set(all.map((point) => JSON.stringify(point))).size, 9);
    assert.equal(createProposals(experiment, []).remaining(), 9);
  });

  it("goes on with what no trial has had, in its order, also of a wider space", () => {
    const experiment = experimentOf({ space: finite });
    const all = draw(experiment, 100);
    for (const known of [0, 1, 4, 9]) {
      assert.deepEqual(draw(experiment, 100, all.slice(0, known)), all.slice(known));
    }
    const wider = experimentOf({ space: { ...finite, "train.amsgrad": { grid: [true, false] } } });
    // The old trials had the experiment's own value, false.
    const more = draw(wider, 100, all);
    assert.equal(more.length, 9);
    assert.ok(more.every((point) => point["train.amsgrad"] === true));
  });
});

describe("random", () => {
  const experiment = experimentOf({ sampler: "random", seed: 3, limits: { trials: 500 }, space: endless });
  const all = draw(experiment, 500);

  it("draws each trial from seed, number and space alone", () => {
    for (const known of [1, 7, 499]) {
      assert.deepEqual(draw(experiment, 500 - known, all.slice(0, known)), all.slice(known));
    }
    const other = draw(experimentOf({ ...experiment.search, seed: 4 }), 1);
    assert.notDeepEqual(other[0], all[0]);
    const more = draw(
      experimentOf({ ...experiment.search, space: { ...endless, "train.seed": { integer: [1, 9] } } }),
      500,
    );
    assert.deepEqual(
      more.map(({ "train.seed": _, ...point }) => point),
      all,
    );
  });

  it("fills the space", () => {
    const rates = all.map((point) => Math.log10(Number(point["train.learning_rate"])));
    assert.ok(rates.every((rate) => rate >= -5 && rate <= -2));
    for (const [from, to] of [
      [-5, -4],
      [-4, -3],
      [-3, -2],
    ] as const) {
      const share = rates.filter((rate) => rate >= from && rate < to).length / rates.length;
      assert.ok(Math.abs(share - 1 / 3) < 0.08, `${share} of the rates lie between 1e${from} and 1e${to}`);
    }
    const group = all.filter((point) => point["model.norm"] === "group");
    assert.ok(Math.abs(group.length - 250) < 45);
    for (const point of all) assert.equal("model.groups" in point, point["model.norm"] === "group");
  });

  it("takes both bounds of whole numbers, also by their logarithm", () => {
    for (const log of [true, false]) {
      const space: Search["space"] = {
        "train.epochs": { integer: [1, 4], log },
        "train.beta1": { uniform: [0.1, 0.9] },
      };
      const drawn = draw(experimentOf({ sampler: "random", limits: { trials: 400 }, space }), 400);
      const counts = [1, 2, 3, 4].map((value) => drawn.filter((point) => point["train.epochs"] === value).length);
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        400,
      );
      // By logarithm, 1 covers half of [0.5, 4.5], 4 an eighth.
      const expected = log ? [200, 93, 61, 46] : [100, 100, 100, 100];
      for (const [index, count] of counts.entries())
        assert.ok(Math.abs(count - (expected[index] ?? 0)) < 45, `${counts}`);
    }
  });

  it("ends with a space that has an end, no point twice, those given first", () => {
    const small = experimentOf({ sampler: "random", space: finite, warm_start: { configurations: [given] } });
    const points = draw(small, 100);
    assert.equal(points.length, 9);
    assert.equal(new Set(points.map((point) => JSON.stringify(point))).size, 9);
    assert.deepEqual(points[0], { ...given, "model.norm": "group" });
    assert.deepEqual(draw(small, 100, points.slice(0, 5)), points.slice(5));
  });
});
