import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { caseMaker } from "../../scripts/fuzz/cases.ts";

const root = path.join(import.meta.dirname, "../..");

describe("npm run fuzz", () => {
  it("finds nothing in 2000 cases", { timeout: 120_000 }, async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", "tsx", "scripts/fuzz.ts", "--count", "2000", "--seed", "4", "--json"],
      { cwd: root },
    );
    const { checked, accepted, refused, reasons, failure } = JSON.parse(stdout);
    assert.equal(failure, null);
    assert.equal(checked, 2000);
    assert.equal(accepted + refused, 2000);
    // Both roads are taken, and the refusals are of many kinds.
    assert.ok(accepted > 400 && refused > 400, `${accepted} accepted`);
    assert.ok(Object.keys(reasons).length > 30, `${Object.keys(reasons).length} reasons`);
  });

  it("makes the same files of the same seed and number, in any order", () => {
    const digest = (seed: number, index: number): string => {
      const { files, open, what } = caseMaker(seed)(index);
      const hash = createHash("sha256").update(JSON.stringify([open, what]));
      for (const { name, bytes } of files) hash.update(name).update(bytes);
      return hash.digest("hex");
    };
    const [first, second] = [digest(1, 7), digest(1, 8)];
    assert.equal(digest(1, 8), second);
    assert.equal(digest(1, 7), first);
    assert.equal(new Set([first, second, digest(2, 7)]).size, 3);
  });
});
