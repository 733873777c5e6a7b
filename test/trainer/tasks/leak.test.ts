/** The short form of `npm run bench -- leak`. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { heldByTrainer, SETTLED } from "../../support/leak.ts";

test("a warm trainer holds no tensor after a trial, and no more memory after many", { timeout: 120_000 }, async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "distmis-leak-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const { tensors, resident } = await heldByTrainer(dir, 25);
  assert.deepEqual(
    tensors,
    tensors.map(() => 0),
  );
  const settled = resident[SETTLED - 1] ?? Number.NaN;
  const growth = ((resident.at(-1) ?? Number.NaN) - settled) / settled;
  // The limit of the long form: 200 trials may not grow by more.
  assert.ok(growth < 0.1, `${(growth * 100).toFixed(1)} % more resident memory`);
});
