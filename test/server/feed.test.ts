import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RunEvent, TrialEnded } from "../../src/experiment/index.ts";
import { createFeed } from "../../src/server/feed.ts";
import { rateLimit } from "../../src/server/limits.ts";

const time = "2026-01-01T00:00:00.000Z";
const trialName = (number: number): string => String(number).padStart(4, "0");

const runStarted: RunEvent = {
  type: "run_started",
  time,
  name: "a",
  runDir: "/runs/a",
  trials: 1000,
  endedBefore: 2,
  failedBefore: 0,
  prunedBefore: 0,
  continued: true,
  metric: "val_dice",
  mode: "max",
  best: null,
};
const started = (number: number): RunEvent => ({
  type: "trial_started",
  time,
  trial: trialName(number),
  attempt: 1,
  parameters: {},
  replicas: 1,
  nodes: [],
  gpus: [],
});
const epoch = (number: number, at: number, value: number): RunEvent => ({
  type: "epoch",
  time,
  trial: trialName(number),
  attempt: 1,
  epoch: at,
  epochs: 9,
  metrics: { val_dice: value },
  seconds: 1,
  volumesPerSecond: 1,
  peakResidentBytes: 1,
  checkpoint: "",
});
const ended = (number: number): TrialEnded => ({
  type: "trial_ended",
  time,
  trial: trialName(number),
  state: "completed",
  best: { value: 0.5, epoch: 1 },
  metrics: {},
  seconds: 1,
  error: null,
  parameters: { "train.learning_rate": 0.001 },
  epoch: 2,
  epochs: 9,
  replicas: 1,
  nodes: ["node-1"],
  gpus: ["0"],
});

const never = new AbortController().signal;
const short = (text: string): string => {
  const { type, trial = "", epoch: at } = JSON.parse(text);
  return `${type} ${trial} ${type === "epoch" ? at : ""}`.trim();
};

describe("a feed", () => {
  it("tells who comes late how the run stands, then what happens", async () => {
    const feed = createFeed(10_000);
    for (const event of [runStarted, started(1), epoch(1, 1, 0.4), ended(1), started(2)]) feed.push(event);
    for (const event of [epoch(2, 1, 0.6), epoch(2, 2, 0.3), epoch(2, 3, 0.2)]) feed.push(event);
    assert.deepEqual(feed.standing(), { ended: 3, total: 1000, running: 1, best: 0.6 });
    const follower = feed.follow(never)[Symbol.asyncIterator]();
    const heard: string[] = [];
    const hear = async (count: number): Promise<void> => {
      for (let left = count; left > 0; left--) heard.push(short((await follower.next()).value ?? ""));
    };
    // The best epoch of a running trial, and its last one.
    await hear(5);
    feed.push(epoch(2, 4, 0.1));
    feed.push(ended(2));
    await hear(2);
    feed.end();
    assert.equal((await follower.next()).done, true);
    assert.deepEqual(heard, [
      "run_started",
      "trial_ended 0001",
      "trial_started 0002",
      "epoch 0002 1",
      "epoch 0002 3",
      "epoch 0002 4",
      "trial_ended 0002",
    ]);
  });

  it("neither waits for a slow follower nor keeps everything for it, and every trial's end reaches it once", async () => {
    const feed = createFeed(10_000);
    feed.push(runStarted);
    const follower = feed.follow(never)[Symbol.asyncIterator]();
    const heard: string[] = [short((await follower.next()).value ?? "")];
    let text = 0;
    for (let number = 1; number <= 500; number++) {
      for (const event of [started(number), epoch(number, 1, 0.5), epoch(number, 2, 0.5)]) feed.push(event);
      if (number <= 498) feed.push(ended(number));
      // It takes one now and then.
      if (number % 100 === 0) heard.push(short((await follower.next()).value ?? ""));
    }
    feed.end();
    for await (const event of { [Symbol.asyncIterator]: () => follower }) {
      text += event.length;
      heard.push(short(event));
    }
    const ends = heard.filter((line) => line.startsWith("trial_ended"));
    assert.deepEqual(
      ends,
      Array.from({ length: 498 }, (_, index) => `trial_ended ${trialName(index + 1)}`),
    );
    assert.deepEqual(
      heard.slice(-4),
      [
        "trial_started 0499",
        "epoch 0499 1",
        "epoch 0499 2",
        "trial_started 0500",
        "epoch 0500 1",
        "epoch 0500 2",
      ].slice(-4),
    );
    assert.ok(heard.length < 900, `${heard.length} of 2000 events`);
    assert.ok(text < 200_000, `${text} characters`);
  });

  it("lets go of a follower that leaves while nothing happens", async () => {
    const feed = createFeed(100);
    const gone = new AbortController();
    const follower = feed.follow(gone.signal)[Symbol.asyncIterator]();
    const next = follower.next();
    gone.abort();
    assert.equal((await next).done, true);
  });
});

describe("a rate limit", () => {
  it("lets a burst through, then the rate", () => {
    let now = 0;
    const pass = rateLimit(2, () => now);
    const count = (tries: number): number => Array.from({ length: tries }, pass).filter(Boolean).length;
    assert.equal(count(100), 20);
    now += 5_000;
    assert.equal(count(100), 10);
    now += 1_000_000;
    assert.equal(count(100), 20);
  });
});
