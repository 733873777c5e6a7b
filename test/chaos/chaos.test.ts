/** `npm run chaos` in short: one kill of each kind. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { chaos, type Kind } from "../../scripts/chaos/index.ts";

it("a search of which everything is killed once ends as an undisturbed one", async () => {
  // Without the head: Ray takes a minute to give one up.
  const order: Kind[] = ["trainer", "orchestrator", "raylet", "actor", "shim", "orchestrator"];
  const dir = mkdtempSync(path.join(tmpdir(), "chaos-test-"));
  const said: string[] = [];
  try {
    const { problems, killed, ...result } = await chaos({
      kills: order.length,
      seed: 3,
      dir,
      rates: 2,
      order,
      say: (text) => said.push(text),
    });
    assert.deepEqual(problems, [], said.join("\n"));
    assert.deepEqual(killed, { trainer: 1, orchestrator: 2, raylet: 1, actor: 1, shim: 1 });
    const { kills, lost, duplicated, equal } = result;
    assert.deepEqual({ kills, lost, duplicated, equal }, { kills: 6, lost: 0, duplicated: 0, equal: true });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
