/** Voxels that can't be right: repaired where that is asked for, and counted. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { preprocessImage, preprocessLabel } from "../../src/data/index.ts";
import { failure, noise } from "./helpers.ts";
import { recipe, volume } from "./volumes.ts";

describe("repair", () => {
  it("sets voxels that are not finite to 0 and counts them, in a copy", () => {
    const fields = { modalities: ["a", "b"], shape: [2, 3, 4] };
    const good = noise(48);
    const bad = good.slice();
    for (const [at, value] of [
      [3, Number.NaN],
      [9, Number.POSITIVE_INFINITY],
      [30, Number.NEGATIVE_INFINITY],
    ] as const) {
      bad[at] = value;
      good[at] = 0;
    }
    const repair = { nonfinite: "zero", labels: "refuse" };
    const kept = bad.slice();
    const repaired = preprocessImage(volume(bad, [2, 3, 4, 2]), recipe({ ...fields, repair }));
    assert.equal(repaired.repaired, 3);
    assert.deepEqual(bad, kept);
    assert.deepEqual({ ...preprocessImage(volume(good, [2, 3, 4, 2]), recipe(fields)), repaired: 3 }, repaired);
    // Finite in float64, but not for the network.
    const large = { ...volume(good, [2, 3, 4, 2]), data: Float64Array.from(good).fill(1e39, 5, 6) };
    assert.throws(() => preprocessImage(large, recipe(fields)), failure("DATA_INVALID", "1 voxels of a", "1e+39"));
    assert.equal(preprocessImage(large, recipe({ ...fields, repair })).repaired, 1);
  });

  it("rounds labels or makes them background, as it is told", () => {
    const classes = { 0: "background", 1: "a", 3: "c" };
    const of = (labels: string) =>
      recipe({ shape: [2, 2, 1], labels: { mode: "multiclass", classes }, repair: { nonfinite: "refuse", labels } });
    const label = (...values: number[]) => volume(Float32Array.from(values), [2, 2, 1]);
    const run = (how: string, ...values: number[]) => {
      const { label: target, repaired } = preprocessLabel(label(...values), of(how));
      return { target: [...target], repaired };
    };
    // Targets are places, z fastest: (0,0), (0,1), (1,0), (1,1).
    assert.deepEqual(run("round", 0.999, 2.5, 0, 3), { target: [1, 0, 2, 2], repaired: 2 });
    assert.deepEqual(run("background", 0.999, 2, 1, Number.NaN), { target: [0, 1, 0, 0], repaired: 3 });
    assert.throws(() => run("round", 0, 2.2, 0, 0), failure("DATA_INVALID", "label 2.2", "(1, 0, 0)", "rounded"));
    assert.throws(() => run("round", 0, 2, 0, 0), failure("DATA_INVALID", "label 2 ", "not among the classes"));
    assert.throws(() => run("round", 0, Number.NaN, 0, 0), failure("DATA_INVALID", "label NaN"));
    assert.throws(() => run("refuse", 0, 0.5, 0, 0), failure("DATA_INVALID", "label 0.5", "whole number"));
  });
});
