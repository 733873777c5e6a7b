import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor5D } from "@tensorflow/tfjs-node-gpu";
import { diceOfSums, lossOf, overlapSums } from "../../src/model/index.ts";
import { loadTensorFlow } from "../../src/tensorflow/index.ts";

const runtime = loadTensorFlow({ threads: 2 });
const { tf } = runtime;

/** Volumes of 4 voxels in a row, as class indices. */
const truthOf = (...volumes: number[][]) => tf.tensor5d(volumes.flat(), [volumes.length, 1, 1, 4, 1], "float32");
/** Logits whose largest is that of the class. */
const logitsOf = (classes: number, ...volumes: number[][]) =>
  tf
    .oneHot(tf.tensor1d(volumes.flat(), "int32"), classes, 9, -3, "float32")
    .reshape<Tensor5D>([volumes.length, 1, 1, 4, classes]);
const numbers = (tensor: { arraySync(): unknown }) => tensor.arraySync();

test("with several classes the largest logit counts, for each volume and foreground class", () => {
  tf.tidy(() => {
    const truth = truthOf([0, 1, 1, 2], [0, 0, 0, 0]);
    const sums = overlapSums(tf, logitsOf(4, [0, 1, 2, 2], [0, 0, 0, 1]), truth);
    assert.deepEqual(numbers(sums.common), [
      [1, 1, 0],
      [0, 0, 0],
    ]);
    assert.deepEqual(numbers(sums.predicted), [
      [1, 2, 0],
      [1, 0, 0],
    ]);
    assert.deepEqual(numbers(sums.true), [
      [2, 1, 0],
      [0, 0, 0],
    ]);
  });
});

test("with one output a logit above 0 is foreground", () => {
  tf.tidy(() => {
    const logits = tf.tensor5d([0.1, -0.1, 0, 5], [1, 1, 1, 4, 1]);
    const sums = overlapSums(tf, logits, truthOf([1, 1, 0, 1]));
    assert.deepEqual([numbers(sums.common), numbers(sums.predicted), numbers(sums.true)], [[[2]], [[2]], [[3]]]);
  });
});

test("the Dice of two empty masks is 1", () => {
  assert.equal(diceOfSums(0, 0, 0), 1);
  assert.equal(diceOfSums(0, 0, 3), 0);
  assert.equal(diceOfSums(2, 2, 3), 0.8);
});

test("the loss is small where the logits are right, also for a class that is nowhere, and finite where they are far off", () => {
  const lossFor = (kind: "dice" | "dice_ce", classes: number, predicted: number[], truth: number[]) => {
    const [loss, dice] = tf.tidy(() => {
      const scaled = logitsOf(classes, predicted).mul<Tensor5D>(100);
      const result = lossOf(runtime, { loss: kind, batch_dice: true }, scaled, truthOf(truth));
      return [result.loss, result.dice];
    });
    const values = [loss?.dataSync()[0] as number, dice?.dataSync()[0] as number] as const;
    tf.dispose([loss, dice]);
    return values;
  };
  for (const kind of ["dice", "dice_ce"] as const) {
    const [right, dice] = lossFor(kind, 4, [0, 1, 2, 2], [0, 1, 2, 2]);
    assert.ok(Math.abs(right) < 1e-5 && dice > 0.9999, `${kind}: ${right}`);
    const [wrong] = lossFor(kind, 4, [1, 2, 3, 3], [0, 1, 2, 2]);
    assert.ok(wrong > 0.9 && Number.isFinite(wrong), `${kind}: ${wrong}`);
  }
  assert.ok(lossFor("dice_ce", 4, [1, 2, 3, 3], [0, 1, 2, 2])[0] > 1000, "the cross entropy of logits 1200 apart");
  assert.equal(tf.memory().numTensors, 0);
});

test("millions of voxels are added without a loss of precision", () => {
  const [loss, dice] = tf.tidy(() => {
    const result = lossOf(
      runtime,
      { loss: "dice", batch_dice: true },
      tf.zeros([1, 128, 128, 256, 3]),
      tf.ones([1, 128, 128, 256, 1]),
    );
    return [result.loss, result.dice];
  });
  // Probabilities of 1/3 where class 1 is everywhere: its Dice is 1/2, that of class 2 is 0.
  assert.ok(Math.abs((dice?.dataSync()[0] as number) - 0.25) < 1e-6, `dice ${dice?.dataSync()[0]}`);
  tf.dispose([loss, dice]);
});
