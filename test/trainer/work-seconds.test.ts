import assert from "node:assert/strict";
import { test } from "node:test";
import { type Pace, packPace, unpackPaces, workSeconds } from "../../src/trainer/work-seconds.ts";

const even: Pace = { training: 8, waited: 0, validation: 1, volumes: 2 };

test("replicas that are equally fast work all the time, whatever their parts of the validation", () => {
  assert.deepEqual(workSeconds([even, even]), [8, 8]);
  assert.deepEqual(workSeconds([even, { ...even, validation: 0.5, volumes: 1 }]), [8, 8]);
});

test("a replica that computes slowly, or waits for its data, is the one that works", () => {
  assert.deepEqual(workSeconds([even, { ...even, validation: 4 }]), [2, 8]);
  // While rank 1 waited for 4 s, rank 0 was within a step.
  assert.deepEqual(workSeconds([even, { ...even, training: 4, waited: 4 }]), [4, 8]);
});

test("no work is told without validation volumes, or if all validate in too short a time", () => {
  assert.deepEqual(workSeconds([even, { ...even, validation: 0, volumes: 0 }]), [0, 0]);
  const short = { ...even, validation: 0.05 };
  assert.deepEqual(workSeconds([short, { ...short, validation: 0.15 }]), [0, 0]);
  assert.deepEqual(workSeconds([short, { ...short, validation: 0.5 }]), [0.8, 8]);
});

test("paces are packed so that their sum over the replicas is all of them", () => {
  const other = { ...even, waited: 0.5, volumes: 1 };
  const [a, b] = [packPace(even, 0, 2), packPace(other, 1, 2)];
  assert.deepEqual(unpackPaces(a.map((value, at) => value + (b[at] ?? 0))), [even, other]);
});
