import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EpochValues } from "../../src/run-folder/epoch-values.ts";

describe("EpochValues", () => {
  it("is in the order of the epochs and replaces what is told again", () => {
    const values = new EpochValues();
    values.set(1, 0.5, "", 10);
    values.set(3, 0.7, "c3", 11);
    values.set(2, 0.6, "", 12);
    values.set(3, 0.8, "c3b", 13);
    assert.deepEqual(
      [...values],
      [
        { epoch: 1, value: 0.5, checkpoint: "", at: 10 },
        { epoch: 2, value: 0.6, checkpoint: "", at: 12 },
        { epoch: 3, value: 0.8, checkpoint: "c3b", at: 11 },
      ],
    );
    assert.equal(values.size, 3);
  });

  it("equals a map of epochs, whatever the order", () => {
    const values = new EpochValues();
    const map = new Map<number, number>();
    for (let step = 0; step < 500; step++) {
      const epoch = 1 + ((step * 7919) % 101);
      values.set(epoch, step, step % 3 === 0 ? `c${step}` : "", step);
      map.set(epoch, step);
    }
    const expected = [...map].toSorted(([a], [b]) => a - b);
    assert.deepEqual(
      [...values].map(({ epoch, value }) => [epoch, value]),
      expected,
    );
  });

  it("finds the best value, the earliest of equal ones, and none that is no number", () => {
    const values = new EpochValues();
    assert.equal(values.best("max"), null);
    values.set(1, Number.NaN, "", 1);
    assert.equal(values.best("min"), null);
    for (const [index, value] of [2, 5, 5, Number.NaN, 1, 1].entries()) values.set(index + 2, value, "", index + 2);
    assert.equal(values.best("max")?.epoch, 3);
    assert.equal(values.best("min")?.epoch, 6);
  });

  it("forgets checkpoints", () => {
    const values = new EpochValues();
    values.set(1, 1, "a", 1);
    values.set(2, 2, "b", 2);
    values.forgetCheckpoints(["a"]);
    assert.deepEqual(
      [...values].map(({ checkpoint }) => checkpoint),
      ["", "b"],
    );
  });
});
