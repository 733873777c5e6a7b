import assert from "node:assert/strict";
import { test } from "node:test";
import { trainSchema } from "../../src/config/schema.ts";
import { advanced, NO_STANDING, patienceIsSpent, type Standing } from "../../src/trainer/standing.ts";

function after(values: number[], mode: "max" | "min", train: object) {
  const config = trainSchema.parse(train);
  let standing: Standing = NO_STANDING;
  let end: number | null = null;
  for (const [index, value] of values.entries()) {
    standing = advanced(standing, { value, epoch: index + 1 }, mode, config);
    if (patienceIsSpent(standing, index + 1, config)) end ??= index + 1;
  }
  return { best: standing.best?.epoch, kept: standing.kept.map(({ epoch }) => epoch), end };
}

test("the best epochs are kept in order; of equal ones the earlier", () => {
  const values = [0.1, 0.5, 0.3, 0.5, 0.4, 0.2];
  assert.deepEqual(after(values, "max", { keep_best: 3 }), { best: 2, kept: [2, 4, 5], end: null });
  assert.deepEqual(after(values, "min", { keep_best: 2 }), { best: 1, kept: [1, 6], end: null });
  assert.deepEqual(after(values, "max", {}), { best: 2, kept: [2], end: null });
});

test("a trial ends when its patience is spent, and small steps are no progress", () => {
  const stopping = (patience: number, min_delta = 0) => ({ early_stopping: { patience, min_delta } });
  assert.equal(after([1, 2, 2, 2, 3], "max", stopping(2)).end, 4);
  assert.equal(after([1, 2, 2, 3, 3], "max", stopping(2)).end, null);
  assert.equal(after([3, 2, 2, 2, 1], "min", stopping(3)).end, null);
  assert.equal(after([3, 2, 2, 2, 2], "min", stopping(3)).end, 5);
  // Progress is measured from the last epoch that made some: 3 steps of 0.4 are one of 1.2.
  assert.equal(after([1, 1.4, 1.8, 2.2, 2.2], "max", stopping(3, 1)).end, null);
  const slow = after([1, 1.1, 1.2, 1.3], "max", stopping(3, 1));
  assert.deepEqual([slow.end, slow.best], [4, 4]);
});

test("what is not a number is worse than any number", () => {
  assert.deepEqual(after([Number.NaN, 0.1, Number.NaN, 0.05], "max", { keep_best: 2 }), {
    best: 2,
    kept: [2, 4],
    end: null,
  });
  assert.equal(after([Number.NaN, 3, 5], "min", {}).best, 2);
});
