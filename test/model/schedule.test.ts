import assert from "node:assert/strict";
import { test } from "node:test";
import { trainSchema } from "../../src/config/schema.ts";
import { learningRateAt } from "../../src/model/index.ts";

const rates = (train: object, totalSteps: number) => {
  const config = trainSchema.parse({ learning_rate: 8, epochs: 4, ...train });
  return Array.from({ length: totalSteps }, (_, step) => learningRateAt(config, step, totalSteps));
};
const close = (actual: number[], expected: number[]) => {
  assert.equal(actual.length, expected.length);
  for (const [index, value] of expected.entries()) {
    assert.ok(Math.abs((actual[index] ?? 0) - value) < 1e-12, `step ${index}: ${actual[index]}, expected ${value}`);
  }
};

test("the rate stays without a schedule, and rises step by step in a warm-up of whole or broken epochs", () => {
  close(rates({}, 4), [8, 8, 8, 8]);
  close(rates({ warmup_epochs: 1 }, 8), [0, 4, 8, 8, 8, 8, 8, 8]);
  close(rates({ warmup_epochs: 0.5 }, 8), [0, 8, 8, 8, 8, 8, 8, 8]);
});

test("with scale_learning_rate the rate, its warm-up and its fall are times the replicas", () => {
  const train = { learning_rate: 8, epochs: 4, warmup_epochs: 1, schedule: "cosine", scale_learning_rate: "linear" };
  const config = trainSchema.parse(train);
  const alone = rates(train, 8);
  close(
    alone.map((_, step) => learningRateAt(config, step, 8, 3)),
    alone.map((rate) => 3 * rate),
  );
  const plain = trainSchema.parse({ ...train, scale_learning_rate: "none" });
  close([learningRateAt(plain, 2, 8, 3)], [8]);
});

test("polynomial and cosine fall from the rate at the end of the warm-up to 0 after the last step", () => {
  close(rates({ schedule: "polynomial", schedule_power: 2 }, 4), [8, 4.5, 2, 0.5]);
  close(rates({ schedule: "polynomial", schedule_power: 1, warmup_epochs: 2 }, 8), [0, 2, 4, 6, 8, 6, 4, 2]);
  close(rates({ schedule: "cosine", warmup_epochs: 1 }, 8).slice(2), [
    8,
    4 * (1 + Math.cos(Math.PI / 6)),
    6,
    4,
    2,
    4 * (1 - Math.cos(Math.PI / 6)),
  ]);
  const config = trainSchema.parse({ schedule: "polynomial" });
  assert.equal(learningRateAt(config, 100, 100), 0);
  assert.equal(learningRateAt(config, 101, 100), 0, "a training that is longer than was planned");
});
