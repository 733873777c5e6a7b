/** Orders and the replicas' shares of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { batchParts, inOrder, shuffled } from "../../src/pipeline/index.ts";

test("an order holds each position once and follows from size, seed and epoch alone", () => {
  for (const size of [0, 1, 2, 17, 500]) {
    const order = shuffled(size, 7, 3);
    assert.deepEqual(
      order.toSorted((a, b) => a - b),
      inOrder(size),
    );
    assert.deepEqual(shuffled(size, 7, 3), order);
  }
  assert.notDeepEqual(shuffled(20, 7, 3), shuffled(20, 7, 4));
  assert.notDeepEqual(shuffled(20, 7, 3), shuffled(20, 8, 3));
  // Written down once: a run that goes on with another version must not see another order.
  assert.deepEqual(shuffled(8, 1, 1), [2, 6, 5, 0, 3, 1, 4, 7]);
});

test("each position comes to each place about equally often", () => {
  const counts = new Map<string, number>();
  const epochs = 6000;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    for (const [place, position] of shuffled(4, 5, epoch).entries()) {
      counts.set(`${place} ${position}`, (counts.get(`${place} ${position}`) ?? 0) + 1);
    }
  }
  assert.equal(counts.size, 16);
  // Six standard deviations of a binomial count.
  const limit = 6 * Math.sqrt(epochs * 0.25 * 0.75);
  for (const [which, count] of counts) assert.ok(Math.abs(count - epochs / 4) < limit, `${which}: ${count}`);
});

for (const replicas of [1, 2, 3, 4]) {
  for (const batchSize of [1, 2, 3]) {
    test(`${replicas} replicas of batch ${batchSize} see the batches of one replica of batch ${replicas * batchSize}`, () => {
      for (let size = 0; size <= 25; size++) {
        const order = shuffled(size, 1, size);
        const one = batchParts(order, replicas * batchSize);
        const all = Array.from({ length: replicas }, (_, rank) => batchParts(order, batchSize, rank, replicas));
        for (const parts of all) assert.equal(parts.length, one.length);
        for (const [step, whole] of one.entries()) {
          const parts = all.map((ofRank) => ofRank[step] ?? assert.fail());
          assert.deepEqual(
            parts.flatMap(({ indices }) => indices),
            whole.indices,
          );
          assert.equal(whole.total, whole.indices.length);
          for (const { total } of parts) assert.equal(total, whole.total);
          const counts = parts.map(({ indices }) => indices.length);
          assert.ok(Math.max(...counts) - Math.min(...counts) <= 1 && Math.max(...counts) <= batchSize, `${counts}`);
        }
        assert.deepEqual(
          one.flatMap(({ indices }) => indices),
          order,
        );
      }
    });
  }
}
