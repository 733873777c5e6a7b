/** What the log says about waiting for data. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { waitedInWords } from "../../src/trainer/waited.ts";

test("an epoch that waits much for data says what to do, one that waits little or shortly does not", () => {
  assert.equal(waitedInWords(3, 0.25, 40), "epoch 3: waited 0.250 s of 40.000 s for data (0.6 %)");
  assert.equal(waitedInWords(1, 0.2, 1), "epoch 1: waited 0.200 s of 1.000 s for data (20.0 %)");
  assert.equal(
    waitedInWords(2, 4, 40),
    "epoch 2: waited 4.000 s of 40.000 s for data (10.0 %): " +
      "give the trainer more CPUs (resources.cpus_per_replica) or a larger data.cache_gigabytes",
  );
});
