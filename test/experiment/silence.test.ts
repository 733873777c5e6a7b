import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { createSilenceWatch, type Silence, type SilenceWatch } from "../../src/experiment/silence.ts";

/** A watch over so many trainers, by a clock that only `seconds` moves. */
function watched(replicas: number, use: (watch: SilenceWatch, seconds: (count: number) => void) => void): Silence[] {
  mock.timers.enable({ apis: ["setInterval"] });
  const found: Silence[] = [];
  const patience = { heartbeatSeconds: 30, stallSeconds: 100, stallFactor: 5 };
  const watch = createSilenceWatch(replicas, patience, (silence) => found.push(silence));
  try {
    use(watch, (count) => {
      for (let second = 0; second < count; second++) mock.timers.tick(1000);
    });
  } finally {
    watch.close();
    mock.timers.reset();
  }
  return found;
}

describe("silence", () => {
  it("of a trainer without heartbeats is told once, with its rank", () => {
    const found = watched(2, (watch, seconds) => {
      watch.placed();
      for (const rank of [0, 1]) watch.ready(rank);
      for (let beat = 0; beat < 100; beat++) {
        watch.heard(0);
        if (beat < 50) watch.heard(1);
        seconds(1);
      }
    });
    assert.deepEqual(found, [{ rank: 1, text: "is frozen: no heartbeat for 30 s (failure.heartbeat_timeout)" }]);
  });

  it("may last longer before a trainer is ready, but not for ever", () => {
    const found = watched(1, (watch, seconds) => {
      seconds(1000);
      watch.placed();
      seconds(299);
      watch.heard(0);
      seconds(299);
      seconds(2);
    });
    assert.deepEqual(found, [{ rank: 0, text: "was not ready within 300 s of its start" }]);
  });

  it("of a trial is told by the time limit, or by its own longest time between two reports", () => {
    const stalls = (gaps: number[], silence: number) =>
      watched(1, (watch, seconds) => {
        const alive = (count: number) => {
          for (let second = 0; second < count; second++) {
            watch.heard(0);
            seconds(1);
          }
        };
        watch.placed();
        watch.ready(0);
        // Nothing is expected of a trainer without a trial.
        alive(500);
        watch.begin();
        for (const gap of gaps) {
          alive(gap);
          watch.reported();
        }
        alive(silence);
      });
    assert.deepEqual(stalls([], 99), []);
    assert.deepEqual(stalls([], 100), [{ rank: null, text: "has reported nothing for 100 s (failure.stall_timeout)" }]);
    assert.deepEqual(stalls([5, 40, 10], 199), []);
    assert.deepEqual(stalls([5, 40, 10], 200), [
      { rank: null, text: "has reported nothing for 200 s (5 times its longest time between two reports)" },
    ]);
  });

  it("does not grow while news are handled, nor after the trial", () => {
    const found = watched(1, (watch, seconds) => {
      watch.placed();
      watch.ready(0);
      watch.begin();
      watch.pause();
      seconds(1000);
      watch.resume();
      watch.end();
      for (let second = 0; second < 200; second++) {
        watch.heard(0);
        seconds(1);
      }
    });
    assert.deepEqual(found, []);
  });
});
